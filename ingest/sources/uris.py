"""Names to URIs and back. A local file's URI is that of `Path.as_uri`; what lies in a file follows a `#`."""

from __future__ import annotations

import os
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*\Z")
FILE = "file://"


def quoted(text: str) -> str:
    """A path, or a part of one, as it stands in a URI; names that are no UTF-8 keep their bytes."""
    return text if _PLAIN.match(text) else quote_from_bytes(os.fsencode(text))


def fragment(text: str) -> str:
    """Any text as what follows the `#` of a URI."""
    return text if _PLAIN.match(text) else quote_from_bytes(text.encode("utf-8", "surrogatepass"))


def file_uri(path: str) -> str:
    """The URI of an absolute path."""
    return FILE + quoted(path)


def file_path(uri: str) -> str:
    """The path of a `file://` URI, without what follows its `#`."""
    return os.fsdecode(unquote_to_bytes(uri.removeprefix(FILE).partition("#")[0]))


def shown(text: str) -> str:
    """A path as people are shown it: what is no UTF-8, or breaks lines, is replaced."""
    if text.isascii() and text.isprintable():
        return text
    readable = text.encode("utf-8", "surrogateescape" if _escaped(text) else "replace").decode("utf-8", "replace")
    return "".join(each if each.isprintable() or each == " " else "\ufffd" for each in readable)


def suffix(name: str) -> str:
    """The suffix of a file name in lower case with its dot, or "" (as `PurePath.suffix`)."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def _escaped(text: str) -> bool:
    return any("\udc80" <= each <= "\udcff" for each in text) and not any("\ud800" <= each < "\udc80" for each in text)
