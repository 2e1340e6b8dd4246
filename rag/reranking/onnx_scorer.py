"""A BERT-like cross-encoder on the CPU by onnxruntime: a graph from the folder's weights, one pair a core at a time.

Pairs are never padded beside one another, so a score does not depend on what else is scored; the longest are begun
first, so that no core is left with one at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from rag.encoders.folder import ModelFolder, read_json
from rag.encoders.onnx_graph import (
    ACTIVATIONS,
    ARCHITECTURES,
    INPUT,
    MAX_BYTES,
    OUTPUT,
    TYPES,
    GraphWriter,
    read_safetensors,
    without_prefix,
)
from rag.encoders.onnx_runtime import open_session, usable_cores
from rag.encoders.tokens import load_tokenizer
from rag.errors import EncoderError, RerankerError
from rag.reranking.folder import RerankerFolder

_MIN_GROUP = 8
_MAX_TOKENS = 512


def why_not(files: ModelFolder) -> str | None:
    """Why this cross-encoder cannot be written as a graph; None where it can."""
    config = files.config
    weights = files.transformer / "model.safetensors"
    if [kind for kind, _ in files.modules] != ["Transformer"]:
        return "it is built of more than a transformer"
    if config.get("model_type") not in ARCHITECTURES:
        return f"its architecture is '{config.get('model_type')}'"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are '{config['position_embedding_type']}'"
    if config.get("hidden_act") not in ACTIVATIONS:
        return f"its activation is '{config.get('hidden_act')}'"
    if read_json(files.path / "config_sentence_transformers.json").get("default_prompt_name"):
        return "it puts a prompt before what it reads"
    if not (files.transformer / "tokenizer.json").is_file():
        return "it has no tokenizer.json"
    if not weights.is_file():
        return "its weights are not one model.safetensors"
    if weights.stat().st_size > MAX_BYTES:
        return "its weights are larger than 2 GiB"
    return None


class OnnxScorer:
    """A loaded model. Thread-safe without a lock: calls run side by side and share the cores.

    Raises RerankerError where the model cannot be written as a graph or its folder is broken.
    """

    def __init__(self, folder: RerankerFolder, *, int8: bool, threads: int | None = None) -> None:
        files = folder.files
        reason = why_not(files)
        if reason:
            raise RerankerError(
                f"reranker '{folder.name}' cannot run on ONNX, because {reason}: set LIBRARIAN_RERANKER_BACKEND to "
                "torch-fp32 or torch-bf16."
            )
        self._threads = threads or usable_cores()
        self.group = max(_MIN_GROUP, 2 * self._threads)
        self.max_tokens = _max_tokens(files)
        try:
            self._tokenizer = load_tokenizer(files.tokenizer_file)
            self._tokenizer.enable_truncation(self.max_tokens, strategy="longest_first")
            writer = _PairWriter(files, int8=int8)
            self._typed = writer.typed
            self._session = open_session(writer.write())
        except Exception as error:  # onnxruntime has its own kinds, all meaning that weights and config do not fit
            said = str(error).strip().splitlines()[0] if str(error).strip() else ""
            kind = "" if isinstance(error, EncoderError) else f"{type(error).__name__} "
            raise folder.refused(f"it does not load ({kind}{said})") from error

    def logits(self, query: str, passages: Sequence[str]) -> list[float]:
        """The head's output for each passage."""
        pairs = self._tokenizer.encode_batch([(query, each) for each in passages])
        inputs = [(each.ids, each.type_ids) for each in pairs]
        if len(inputs) == 1 or self._threads == 1:
            return [self._run(each) for each in inputs]
        longest_first = sorted(range(len(inputs)), key=lambda each: -len(inputs[each][0]))
        found = [0.0] * len(inputs)
        with ThreadPoolExecutor(min(self._threads, len(inputs)), thread_name_prefix="reranker") as pool:
            for place, logit in zip(
                longest_first, pool.map(self._run, [inputs[each] for each in longest_first]), strict=True
            ):
                found[place] = logit
        return found

    def _run(self, pair: tuple[list[int], list[int]]) -> float:
        ids, types = (np.array([each], np.int64) for each in pair)
        (found,) = self._session.run([OUTPUT], {INPUT: ids, TYPES: types} if self._typed else {INPUT: ids})
        return float(found[0, 0])


class _PairWriter(GraphWriter):
    """Ends the graph in one logit a pair, as BERT's and RoBERTa's heads for sequence classification do."""

    def __init__(self, files: ModelFolder, *, int8: bool) -> None:
        weights = read_safetensors(files.transformer / "model.safetensors")
        bert = files.config["model_type"] == "bert"
        # What the tokenizer does not hand to the model, the model takes for type 0, as all of RoBERTa's kin do.
        read = read_json(files.transformer / "tokenizer_config.json").get("model_input_names")
        self.typed = bert and (not isinstance(read, list) or "token_type_ids" in read)
        super().__init__(files.config, without_prefix(weights), int8=int8, typed=self.typed)
        inner, outer = ("pooler.dense", "classifier") if bert else ("classifier.dense", "classifier.out_proj")
        self._inner = self._head(inner, self._weights if bert else weights)
        self._outer = self._head(outer, weights)
        if weights[f"{outer}.weight"].shape[0] != 1:
            raise ValueError(f"{outer}.weight gives {weights[f'{outer}.weight'].shape[0]} scores, not one")

    def write(self) -> bytes:
        """The graph: ids (and types) of (1, tokens) to a logit (1, 1), serialized."""
        pooled = self._product(self._first(self._hidden()), self._inner, "head.inner")
        squashed = self._node("Tanh", [pooled], "head.squashed")
        self._product(squashed, self._outer, OUTPUT)
        return self._serialized(1)

    def _head(self, name: str, weights: dict[str, NDArray[np.float32]]) -> tuple[str, str]:
        matrix = self._constant(f"{name}.weight", weights[f"{name}.weight"].T)
        return matrix, self._constant(f"{name}.bias", weights[f"{name}.bias"])

    def _product(self, given: str, head: tuple[str, str], output: str) -> str:
        product = self._node("MatMul", [given, head[0]], f"{output}.product")
        return self._node("Add", [product, head[1]], output)


def _max_tokens(files: ModelFolder) -> int:
    limits = [files.max_tokens or _MAX_TOKENS]
    positions = files.config.get("max_position_embeddings")
    if isinstance(positions, int):
        offset = 0 if files.config["model_type"] == "bert" else int(files.config.get("pad_token_id") or 0) + 1
        limits.append(positions - offset)
    return min(limits)
