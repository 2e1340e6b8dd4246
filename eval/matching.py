"""From a document's URI in the index to the name that judgements give it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

_FILE = "file://"


def names_below(uris: Iterable[str], source: Path, beir: bool) -> dict[str, str]:
    """The name of each document that was ingested from `source`: its record's id, or its path below the folder."""
    root = f"{source.as_posix().rstrip('/')}/"
    found = {}
    for uri in uris:
        path, inner = _parts(uri)
        if beir:
            found[uri] = inner or path
        else:
            found[uri] = path.removeprefix(root) + (f"#{inner}" if inner else "")
    return found


def names_anywhere(uris: Iterable[str], judged: Collection[str]) -> dict[str, str]:
    """The same for a collection that was ingested from who knows where: a document has a judged name when its record's
    id, the URI itself, or the end of its path or URI from some '/' on, is that name. Others are named by their URI.

    Where several documents could have one name, it goes to the one whose path before the name most others have too.
    """
    wanted = frozenset(judged)
    candidates: dict[str, list[tuple[str, str]]] = defaultdict(list)  # by name: where it begins, and the URI
    every = list(uris)
    for uri in every:
        for root, name in _endings(uri):
            if name in wanted:
                candidates[name].append((root, uri))
    common = Counter(root for each in candidates.values() for root, _ in each)
    chosen = {
        name: min(each, key=lambda pair: (-common[pair[0]], len(pair[1]), pair[1]))[1]
        for name, each in candidates.items()
    }
    return {**{uri: uri for uri in every}, **_longest(chosen)}


def _longest(chosen: Mapping[str, str]) -> dict[str, str]:
    """By URI, the longest of the names that it was chosen for."""
    found: dict[str, str] = {}
    for name, uri in chosen.items():
        if len(name) > len(found.get(uri, "")):
            found[uri] = name
    return found


def _endings(uri: str) -> Iterator[tuple[str, str]]:
    path, inner = _parts(uri)
    if inner:
        yield f"{path}#", inner
    whole = path + (f"#{inner}" if inner else "")
    yield "", whole
    if uri != whole:
        yield "", uri
    scheme, colon, upload = path.partition(":")
    if colon and not upload.startswith("//"):
        yield f"{scheme}:", whole[len(scheme) + 1 :]
    start = whole.find("/", 0, len(path))
    while start != -1:
        yield whole[: start + 1], whole[start + 1 :]
        start = whole.find("/", start + 1, len(path))


def _parts(uri: str) -> tuple[str, str]:
    """Path (or the URI itself, where it is no file's) and what follows its '#', both decoded."""
    path, _, inner = uri.removeprefix(_FILE).partition("#")
    return unquote(path), unquote(inner)
