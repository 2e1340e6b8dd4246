"""Why a document gives no text. Each is one sentence that says what is wrong and what to do."""

from __future__ import annotations

from rag.errors import SourceError


class EmptyDocument(SourceError):
    """The document was read and holds no text: nothing to index, nothing wrong."""

    code = "empty_document"


class NeedsOcr(SourceError):
    """The document holds pictures of text and no text."""

    code = "needs_ocr"


class Encrypted(SourceError):
    """The document cannot be read without a password or a key."""

    code = "encrypted_document"


class Unsupported(SourceError):
    """The document's format is not read."""

    code = "unsupported_format"


class Damaged(SourceError):
    """The document is not what its name says, is cut off, or breaks its format's rules."""

    code = "damaged_document"


class TooLarge(SourceError):
    """The document passes a limit on pages, characters or unpacked bytes."""

    code = "document_too_large"


def too_many_pages(count: int, limit: int) -> TooLarge:
    """The error for a document of more pages, slides or sheets than the limit."""
    return TooLarge(
        f"it has {count} pages, more than the {limit} of max_document_pages; split it, or raise the setting."
    )


def too_many_characters(limit: int) -> TooLarge:
    """The error for a document whose text passes the limit."""
    return TooLarge(
        f"its text passes the {limit} characters of max_document_characters; split it, or raise the setting."
    )
