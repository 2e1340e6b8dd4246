"""Token counts of an encoder, wherever it encodes: its folder's tokenizer makes them in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from rag.encoders.folder import ModelFolder
from rag.encoders.tokens import TokenCounter, load_token_counts


class Tokenized:
    """What local and remote encoders share. The tokenizer is read when it is first needed; no model is loaded."""

    _files: ModelFolder

    @property
    def tokenizer_file(self) -> Path:
        """The folder's `tokenizer.json`. Raises EncoderError where there is none."""
        return self._files.tokenizer_file

    @cached_property
    def _tokens(self) -> TokenCounter:
        return load_token_counts(self.tokenizer_file)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model would read it, special tokens included, nothing cut."""
        return self._tokens.token_counts(texts)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of each token of `text`, special tokens left out."""
        return self._tokens.token_offsets(text)

    def _prompt_tokens(self) -> int:
        """What the prompt before a document takes of the tokens that the model reads."""
        prompt = self._files.prompt("document")
        return self.token_counts([prompt])[0] - self.token_counts([""])[0] if prompt else 0
