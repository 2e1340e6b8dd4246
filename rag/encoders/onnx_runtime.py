"""Runs a model's ONNX graph on the CPU: each core takes one text at a time.

One text a core instead of a batch on all cores: no padding is computed, a text's activations stay in the core's own
cache, no core waits for another inside a matrix product, and a query need not wait for a batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rag.encoders.folder import ModelFolder
from rag.encoders.interface import MAX_CHUNK_TOKENS, Kind, Vectors
from rag.encoders.onnx_graph import INPUT, OUTPUT, why_not, write_graph
from rag.encoders.tokens import load_tokenizer
from rag.errors import EncoderError

# onnxruntime would join the sums and LayerNormalizations into an operator that is several times slower than the two.
_SLOW_FUSIONS = ["SkipLayerNormFusion"]
_TOKENIZED_AT_ONCE = 1024


class OnnxRuntime:
    """A loaded model. Thread-safe without a lock: calls run side by side and share the cores.

    Raises EncoderError where the model cannot be written as a graph or its folder is broken.
    """

    def __init__(self, files: ModelFolder, *, int8: bool, threads: int | None = None) -> None:
        reason = why_not(files)
        if reason:
            raise EncoderError(
                f"encoder '{files.name}' cannot run on ONNX, because {reason}: set LIBRARIAN_ENCODER_BACKEND to "
                "torch-fp32 or torch-bf16."
            )
        self._files = files
        self._threads = threads or usable_cores()
        self.max_tokens = files.max_tokens or MAX_CHUNK_TOKENS
        self._tokenizer = load_tokenizer(files.tokenizer_file)
        self._tokenizer.enable_truncation(self.max_tokens)
        self._session = _open(write_graph(files, int8=int8), files)

    @property
    def dimension(self) -> int | None:
        """Length of a vector."""
        return self._files.dimension

    def encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Unit vectors in the texts' order, shape (len(texts), dimension)."""
        prompt = self._files.prompt(kind)
        ids: list[list[int]] = []
        for start in range(0, len(texts), _TOKENIZED_AT_ONCE):
            part = [prompt + each for each in texts[start : start + _TOKENIZED_AT_ONCE]]
            ids += [each.ids for each in self._tokenizer.encode_batch_fast(part)]
        if len(ids) < 2 or self._threads == 1:
            return np.concatenate([self._run(each) for each in ids])
        longest_first = sorted(range(len(ids)), key=lambda each: -len(ids[each]))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="encoder") as pool:
            found = list(pool.map(self._run, [ids[each] for each in longest_first]))
        vectors = np.empty((len(ids), found[0].shape[1]), np.float32)
        vectors[longest_first] = np.concatenate(found)
        return vectors

    def _run(self, ids: list[int]) -> Vectors:
        (vector,) = self._session.run([OUTPUT], {INPUT: np.array([ids], np.int64)})
        return np.asarray(vector, np.float32)


def _open(graph: bytes, files: ModelFolder) -> Any:
    try:
        return open_session(graph)
    except Exception as error:  # the library has its own kinds, all meaning that the graph and the weights do not fit
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EncoderError(
            f"encoder '{files.name}' in {files.path} cannot be loaded: {reason}. "
            "Check the folder, or set LIBRARIAN_ENCODER_BACKEND=torch-fp32."
        ) from error


def open_session(graph: bytes) -> Any:
    """An onnxruntime session for a serialized graph, one thread a run. Raises the library's own errors."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW_FUSIONS
    )


def usable_cores() -> int:
    """Cores that this process may use: its affinity and, in a container, the CPU quota of its control group (v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return max(1, cores)
