"""A hostile document, and what it must not achieve."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One document. Beside the rules that hold for every one, the lists say what this one must not achieve.

    `path` and `data` are the file. `broken`: strings that never reach the model as they stand. `unseen`: words that are
    not indexed at all. `kept`: words that the model still reads, so that breaking an attack does not lose a document.
    `echo` is what a model says that obeys (default: the document's own text), and `unsaid` what the reply then lacks.
    """

    name: str
    path: str
    data: str | bytes
    broken: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    echo: str = ""
    unsaid: tuple[str, ...] = ()

    @property
    def bytes(self) -> bytes:
        """The file's content."""
        return self.data.encode("utf-8", "surrogatepass") if isinstance(self.data, str) else self.data

    @property
    def said(self) -> str:
        """What the stand-in for an obeying model answers."""
        return self.echo or self.bytes.decode("utf-8", "replace")


def split(token: str, invisible: str) -> str:
    """The token with an invisible character between all of its characters."""
    return invisible.join(token)


def wide(token: str) -> str:
    """The token in full-width forms (U+FF01 to U+FF5E), which compatibility folding turns back."""
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in token)


def bold(token: str) -> str:
    """The token with its lower-case letters as mathematical bold ones, which compatibility folding turns back."""
    return "".join(chr(0x1D41A + ord(each) - ord("a")) if "a" <= each <= "z" else each for each in token)
