"""A model from a folder or a hub name, encoding in this process: torch or ONNX, loaded when first needed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rag.encoders.folder import ModelFolder
from rag.encoders.interface import Backend, Kind, Runtime, Vectors
from rag.encoders.onnx_graph import why_not
from rag.encoders.tokenized import Tokenized
from rag.errors import EncoderError
from rag.tuning.artefacts import check_tuned
from rag.tuning.errors import ArtefactRefused

# Where an accelerator that torch knows would show itself: asking torch costs seconds, looking here does not.
_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/dri/renderD128", "/dev/accel")

# Models that lose nothing in int8 by benchmarks/encoders.py; of others that must be measured before it is believed.
_MEASURED_INT8 = frozenset({"minilm"})


class LocalEncoder(Tokenized):
    """A model in this process. Thread-safe; the folder is not looked for, nor the model loaded, before it is needed."""

    def __init__(
        self,
        name: str,
        device: str = "auto",
        backend: Backend | Literal["auto"] = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.name = name
        self._files = ModelFolder(name)
        self._device = None if device == "auto" else device
        self._wanted = backend
        self._batch_size = batch_size
        self._threads = threads
        self._loading = threading.Lock()
        self._loaded: Runtime | None = None

    @property
    def _folder(self) -> Path:
        return self._files.path

    @cached_property
    def backend(self) -> Backend:
        """What encodes; `auto` is decided here, from the folder's files and the device."""
        if self._wanted != "auto":
            return self._wanted
        if on_accelerator(self._device):
            return "torch-bf16" if is_cuda(self._device) else "torch-fp32"
        if why_not(self._files):
            return "torch-fp32"
        return "onnx-int8" if self.name in _MEASURED_INT8 else "onnx-fp32"

    @property
    def loaded(self) -> bool:
        """Whether the model itself is in memory."""
        return self._loaded is not None

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """The folder's hash, whichever backend runs it: their vectors can be searched with one another's."""
        return {"name": self.name, "sha256": self._files.sha256}

    @cached_property
    def dimension(self) -> int:
        """Length of a vector; loads the model only where no file of the folder says it."""
        dimension = self._files.dimension or self._runtime.dimension
        if not dimension:
            raise EncoderError(f"encoder '{self.name}' does not say how long its vectors are.")
        return dimension

    @cached_property
    def max_tokens(self) -> int:
        """Tokens of a document that the model reads, special tokens included, its own prompt left out."""
        whole = self._files.max_tokens or self._runtime.max_tokens
        return whole - self._prompt_tokens()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimension)."""
        return self._encode(texts, "document")

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,)."""
        vectors = self._encode([text], "query")
        return vectors.reshape(self.dimension)

    def _encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        return self._runtime.encode(texts, kind)

    @property
    def _runtime(self) -> Runtime:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Runtime:
        try:
            check_tuned(self._folder, "encoder")
        except ArtefactRefused as error:
            raise EncoderError(
                f"encoder '{self.name}' cannot be used: {error} Set LIBRARIAN_ENCODER to another, or tune it again."
            ) from None
        if self.backend in ("onnx-fp32", "onnx-int8"):
            if self._device not in (None, "cpu"):
                raise EncoderError(
                    f"LIBRARIAN_ENCODER_BACKEND={self.backend} encodes on the CPU, not on '{self._device}': set it to "
                    "torch-bf16 or auto, or set LIBRARIAN_ENCODER_DEVICE=cpu."
                )
            from rag.encoders.onnx_runtime import OnnxRuntime

            return OnnxRuntime(self._files, int8=self.backend == "onnx-int8", threads=self._threads)
        from rag.encoders.torch_runtime import TorchRuntime

        return TorchRuntime(
            self._files,
            device=self._device,
            bf16=self.backend == "torch-bf16",
            batch_size=self._batch_size,
            threads=self._threads,
        )


def on_accelerator(device: str | None) -> bool:
    """Whether a model set to this device, or left to choose one, runs on something else than the CPU."""
    if device is not None:
        return device != "cpu"
    if sys.platform.startswith("linux") and not any(Path(each).exists() for each in _ACCELERATORS):
        return False
    import torch

    return bool(torch.accelerator.is_available())


def is_cuda(device: str | None) -> bool:
    """Whether that something is a CUDA GPU."""
    if device is not None:
        return device.startswith("cuda")
    import torch

    return torch.cuda.is_available()
