"""An encoder behind an OpenAI-compatible `/v1/embeddings` URL: batched, tried again, and never taken at its word."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from rag.encoders.calling import Caller
from rag.encoders.fingerprints import PROBES, SAME_COSINE, pack_probes, probes_agree
from rag.encoders.folder import TOKENIZER_FILES, ModelFolder
from rag.encoders.interface import MAX_CHUNK_TOKENS, Vectors
from rag.encoders.parallel import in_parallel
from rag.encoders.tokenized import Tokenized
from rag.errors import EncoderError
from rag.settings import Settings

_BATCH = 64
# Requests in flight for one list of documents: the server joins them into batches of its own while others travel.
_IN_FLIGHT = 4
# Seconds after which a server is probed again: another model may have been started behind the same URL.
_PROBE_AGAIN = 300.0
# Seconds that a call is tried again for: a job can wait for a server that restarts, a person asking cannot.
_DOCUMENT_PATIENCE, _QUERY_PATIENCE = 300.0, 10.0


class RemoteEncoder(Tokenized):
    """Thread-safe. The network is not touched before the first text, dimension or fingerprint is asked for.

    Texts are given the prompts of the tokenizer's folder, where it has any: servers do not add them.
    """

    def __init__(self, settings: Settings) -> None:
        self._caller = Caller(settings)
        self.name = settings.encoder_model or self._caller.url
        self._files = ModelFolder(
            settings.encoder_tokenizer or settings.encoder,
            "LIBRARIAN_ENCODER_TOKENIZER",
            only=TOKENIZER_FILES,
        )
        self._batch = settings.encoder_batch_size or _BATCH
        self._probing = threading.Lock()
        self._probes: Vectors | None = None
        self._probed_at = 0.0

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Its model's name and dimension, and its vectors of a few fixed sentences (`fingerprints.same_encoder`)."""
        probes = self._probed(_QUERY_PATIENCE)
        return {"name": self._caller.model, "dimension": probes.shape[1], "probes": pack_probes(probes)}

    @property
    def dimension(self) -> int:
        """Length of a vector: asked of the server."""
        return int(self._probed(_QUERY_PATIENCE).shape[1])

    @cached_property
    def max_tokens(self) -> int:
        """Tokens of a document that the model reads, as the tokenizer's folder says it, prompt left out."""
        return (self._files.max_tokens or MAX_CHUNK_TOKENS) - self._prompt_tokens()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimension)."""
        dimension = int(self._probed(_DOCUMENT_PATIENCE).shape[1])
        if not texts:
            return np.empty((0, dimension), np.float32)
        prompt = self._files.prompt("document")
        longest_first = sorted(range(len(texts)), key=lambda each: -len(texts[each]))
        ordered = [prompt + texts[each] for each in longest_first]
        batches = [ordered[start : start + self._batch] for start in range(0, len(ordered), self._batch)]
        parts = in_parallel(
            lambda batch, gone: self._vectors(batch, _DOCUMENT_PATIENCE, dimension, gone), batches, _IN_FLIGHT
        )
        vectors = np.empty((len(texts), dimension), np.float32)
        vectors[longest_first] = np.concatenate(parts)
        return vectors

    def encode_query(self, text: str) -> Vectors:
        """The query's unit vector, shape (dimension,)."""
        dimension = int(self._probed(_QUERY_PATIENCE).shape[1])
        return self._vectors([self._files.prompt("query") + text], _QUERY_PATIENCE, dimension).reshape(dimension)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """The queries' unit vectors, shape (len(texts), dimension), in one request."""
        dimension = int(self._probed(_QUERY_PATIENCE).shape[1])
        prompt = self._files.prompt("query")
        return self._vectors([prompt + each for each in texts], _QUERY_PATIENCE, dimension)

    def _probed(self, patience: float) -> Vectors:
        """The vectors of the probes as they first were. Raises EncoderError where they have changed since."""
        known = self._probes
        if known is not None and time.monotonic() - self._probed_at < _PROBE_AGAIN:
            return known
        asked_elsewhere = not self._probing.acquire(blocking=known is None)
        if known is not None and asked_elsewhere:
            return known
        try:
            embedded = self._caller.embed(PROBES, patience)
            if self._probes is None:
                self._check_tokenizer(embedded.tokens)
                self._probes = embedded.vectors
            elif not probes_agree(self._probes, embedded.vectors):
                raise EncoderError(
                    f"another model answers at {self._caller.shown} than before (its vectors of the same sentences are "
                    f"less than {SAME_COSINE} alike): start Librarian again, and `librarian reindex` if it is to stay."
                )
            self._probed_at = time.monotonic()
            return self._probes
        finally:
            self._probing.release()

    def _check_tokenizer(self, told: int | None) -> None:
        """Refuse a tokenizer that counts other tokens than the server: chunks would be cut, or needlessly small."""
        counted = sum(self.token_counts(PROBES))
        special = len(PROBES) * self.token_counts([""])[0]  # some servers leave special tokens out of their count
        if told and not counted - special <= told <= counted:
            raise EncoderError(
                f"the encoder at {self._caller.shown} counts {told} tokens where the tokenizer of '{self._files.name}' "
                f"counts {counted}: set LIBRARIAN_ENCODER_TOKENIZER to the served model's folder or hub name."
            )

    def _vectors(
        self, texts: Sequence[str], patience: float, dimension: int, gone: threading.Event | None = None
    ) -> Vectors:
        found = self._caller.embed(texts, patience, gone).vectors
        if found.shape[1] != dimension:
            raise EncoderError(
                f"the encoder at {self._caller.shown} gave vectors of {found.shape[1]} numbers, before of {dimension}: "
                "another model answers there now. Start Librarian again, and `librarian reindex` if it is to stay."
            )
        return found
