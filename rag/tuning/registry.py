"""Where artefacts lie: DATA_DIR/tuned/NAME, one folder each, and what is in service beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rag.tuning import in_service
from rag.tuning.artefacts import Artefact, check_name, open_artefact, seal
from rag.tuning.card import Card, Kind
from rag.tuning.errors import ArtefactExists, ArtefactNotFound, ArtefactRefused
from rag.tuning.in_service import FOLDER, InService

if TYPE_CHECKING:
    from rag.settings import Settings

_WORK = ".work"


class Registry:
    """The artefacts of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, settings: Settings) -> Registry:
        """That of these settings."""
        return cls((settings.data_dir / FOLDER).absolute())

    def list(self) -> tuple[list[Artefact], list[ArtefactRefused]]:
        """All artefacts by name, and why some folders hold none that can be read. Files are not checked."""
        found, refused = [], []
        for folder in sorted(self.folder.glob("*")):
            if not folder.is_dir() or folder.name.startswith("."):
                continue
            try:
                found.append(open_artefact(folder))
            except ArtefactRefused as error:
                refused.append(error)
        return found, refused

    def get(self, name: str, kind: Kind | None = None) -> Artefact:
        """An artefact whose files are those that were made. Raises ArtefactNotFound and ArtefactRefused."""
        folder = self.folder / check_name(name)
        if not folder.is_dir():
            raise ArtefactNotFound(f"there is no artefact '{name}' in {self.folder}: see `librarian tune list`.")
        artefact = open_artefact(folder)
        artefact.check(kind)
        return artefact

    def check_free(self, name: str) -> None:
        """Raise ArtefactExists where the name is taken: said before hours of training, not after."""
        if (self.folder / check_name(name)).exists():
            raise ArtefactExists(
                f"there is an artefact '{name}' in {self.folder} already: choose another name (--name), or delete that "
                "folder if it is not in service."
            )

    def work(self, name: str) -> Path:
        """The folder in which a training of that name keeps its state; a killed one finds it again."""
        folder = self.folder / _WORK / check_name(name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def add(self, made: Path, card: Card) -> Artefact:
        """Take over the folder `made` as the artefact that the card describes: it appears at once, whole.

        The folder must lie on the same disk, as one in `work` does. The training's state is deleted after that.
        Raises ArtefactExists, and ArtefactRefused where it holds a pickle or broken tensors.
        """
        self.check_free(card.name)
        artefact = seal(made, card)
        made.rename(self.folder / card.name)
        shutil.rmtree(self.folder / _WORK / card.name, ignore_errors=True)
        return Artefact(self.folder / card.name, artefact.card)

    def in_service(self) -> InService:
        """What was promoted. Raises SettingsError where its file is broken."""
        return in_service.read(self.folder)

    def set_in_service(self, found: InService) -> None:
        """Say what is in service from now on."""
        in_service.write(self.folder, found)
