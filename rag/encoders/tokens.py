"""Token counts without the model: reads a folder's `tokenizer.json` and imports nothing heavier than `tokenizers`.

A process that only cuts documents into chunks needs this file and no other of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from rag.errors import EncoderError


class TokenCounter:
    """Counts tokens as the model would read them; nothing is cut, nothing padded. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of each token of `text`, special tokens left out."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)


def load_tokenizer(tokenizer_file: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, set to neither cut nor pad. Raises EncoderError where it cannot be read."""
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # the library raises bare Exceptions for missing and broken files alike
        raise EncoderError(
            f"tokenizer {tokenizer_file} cannot be read: {str(error).strip() or type(error).__name__}. "
            "Set LIBRARIAN_ENCODER to a folder with a whole tokenizer.json."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_token_counts(tokenizer_file: Path) -> TokenCounter:
    """A counter from a `tokenizer.json`. Raises EncoderError where it cannot be read."""
    return TokenCounter(load_tokenizer(tokenizer_file))
