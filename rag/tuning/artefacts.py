"""An artefact: a folder with a card and the files that the card names, every one as it was when it was made."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import BadInput
from rag.tuning.card import CARD, README, Card, File, Kind
from rag.tuning.errors import ArtefactRefused
from rag.tuning.readme import readme

# Formats that run code when they are read.
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".npz"})
_CODE = frozenset({".py", ".pyc", ".so"})
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Artefact:
    """A folder that holds one, with its card. Whether its files are still those of the card, `check` says."""

    folder: Path
    card: Card

    def check(self, kind: Kind | None = None) -> None:
        """Raise ArtefactRefused where the folder has another name than the card, and as `check_files` does."""
        if self.card.name != self.folder.name:
            raise ArtefactRefused(f"{self.folder} holds the card of '{self.card.name}': it was moved or copied.")
        self.check_files(kind)

    def check_files(self, kind: Kind | None = None) -> None:
        """Raise ArtefactRefused, naming the file, where it is of another kind, or a file is missing, cut short,
        changed, added, pickled, or code. Reads every file."""
        what = f"{self.card.kind} '{self.card.name}'"
        if kind is not None and self.card.kind != kind:
            raise ArtefactRefused(f"'{self.card.name}' is a tuned {self.card.kind}, and no {kind}.")
        found = {each.relative_to(self.folder).as_posix(): each for each in files_below(self.folder)}
        for name, path in found.items():
            _check_safe(what, name, path)
        for name, known in self.card.files.items():
            if name not in found:
                raise ArtefactRefused(f"{what} is not whole: {name} is missing in {self.folder}.")
            size = found[name].stat().st_size
            if size != known.bytes:
                raise ArtefactRefused(f"{what} is not whole: {name} has {size} bytes, and {known.bytes} when made.")
            if sha256_of(found[name]) != known.sha256:
                raise ArtefactRefused(f"{what} is corrupt: {name} is not what it was when it was made.")
        added = sorted(set(found) - set(self.card.files))
        if added:
            raise ArtefactRefused(f"{what} is not what its card says: {added[0]} was added to {self.folder}.")


def open_artefact(folder: Path) -> Artefact:
    """The artefact in a folder. Raises ArtefactRefused where there is no card that can be read."""
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ArtefactRefused(f"{folder / CARD} cannot be read: {reason or error}.") from None
    return Artefact(folder, Card.from_json(text, str(folder / CARD)))


def check_tuned(folder: Path, kind: Kind) -> None:
    """Raise ArtefactRefused where a model's folder has a card and is not what it says; one without is anybody's."""
    if (folder / CARD).is_file():
        open_artefact(folder).check_files(kind)


def seal(folder: Path, card: Card) -> Artefact:
    """Write the card of what lies in the folder, with the hash of every file, and let be read by others what the card
    may be: safetensors keeps its files to their owner, and an engine may run as another. Raises ArtefactRefused for a
    pickle."""
    files = {}
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        _check_safe(f"{card.kind} '{card.name}'", name, path)
        files[name] = File(path.stat().st_size, sha256_of(path))
    sealed = write_card(Artefact(folder, replace(card, files=files)))
    mode = stat.S_IMODE((folder / CARD).stat().st_mode)
    for name in files:
        (folder / name).chmod(mode)
    return sealed


def write_card(artefact: Artefact) -> Artefact:
    """Write both forms of an artefact's card in place of those that are there; each is whole at any moment."""
    for name, text in ((README, readme(artefact.card)), (CARD, artefact.card.to_json())):
        beside = artefact.folder / f".{name}.new"
        beside.write_text(text, encoding="utf-8")
        beside.replace(artefact.folder / name)
    return artefact


def check_name(name: str) -> str:
    """The name, unchanged. Raises BadInput where it is none for a folder on every system."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"'{name[:64]}' is no name for an artefact: up to 64 of a-z, 0-9, dot, dash and underscore, beginning with "
            "a letter or a digit."
        )
    return name


def files_below(folder: Path) -> Iterator[Path]:
    """The files of an artefact, by path: all but its card, and hidden ones."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not inside.name.startswith(".") and inside.as_posix() not in (CARD, README):
            yield path


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_safe(what: str, name: str, path: Path) -> None:
    if path.suffix in PICKLED:
        raise ArtefactRefused(
            f"{what} holds {name}, which is pickled: reading it could run code. Only safetensors are."
        )
    if path.suffix in _CODE:
        raise ArtefactRefused(f"{what} holds {name}, which is code.")
    if path.suffix == ".safetensors":
        _check_tensors(what, name, path)


def _check_tensors(what: str, name: str, path: Path) -> None:
    import numpy  # noqa: F401  # safe_open's "numpy" needs it
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as tensors:
            if not list(tensors.keys()):
                raise ArtefactRefused(f"{what} is corrupt: {name} holds no tensors.")
    except (OSError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtefactRefused(f"{what} is corrupt or cut short: {name} cannot be read ({reason}).") from None
