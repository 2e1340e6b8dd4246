"""A cross-encoder's folder: whether it is one, whole, and safe to read. Loads no model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from rag.encoders.folder import PACKAGED, ModelFolder, find_folder, read_json
from rag.errors import EncoderError, RerankerError
from rag.tuning.artefacts import check_tuned
from rag.tuning.errors import ArtefactRefused

SETTING = "LIBRARIAN_RERANKER"

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_WHOLE, _SHARDED = "model.safetensors", "model.safetensors.index.json"
# What transformers calls the part that makes a score of the last hidden state, in one architecture or another.
_HEADS = {"classifier", "score", "classification_head", "logits_proj", "lm_head"}
_LIBRARY = "sentence_transformers."


class RerankerFolder:
    """A cross-encoder by its folder or hub name, looked for when it is first asked something."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def files(self) -> ModelFolder:
        """Its files. Raises RerankerError where there is no such folder."""
        folder = Path(self.name).expanduser()
        if not folder.is_dir() and (self.name.startswith((".", "/", "~")) or self.name.count("/") > 1):
            raise RerankerError(f"reranker folder '{self.name}' does not exist; set {SETTING} to one that does.")
        try:
            return ModelFolder(str(find_folder(self.name, SETTING)), SETTING)
        except EncoderError as error:
            raise RerankerError(
                f"reranker '{self.name}' is no folder, and the model hub did not give it "
                f"({type(error.__cause__ or error).__name__}). Check {SETTING} and the network."
            ) from error

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """The folder's name and hash. Raises RerankerError where there is no model."""
        try:
            return {"name": self.name, "sha256": self.files.sha256}
        except RerankerError:
            raise
        except EncoderError as error:
            raise self.refused("it holds no model (no .safetensors, no .json)") from error

    def check(self) -> None:
        """Raises RerankerError, naming what is wrong, where this is no cross-encoder that can be read safely, or it was
        tuned and is not what it was then.

        Only safetensors are read: a pickle runs whatever code its writer put into it.
        """
        try:
            check_tuned(self.files.path, "reranker")
        except ArtefactRefused as error:
            raise self.refused(str(error).removesuffix(".")) from None
        config = self._json("config.json", self._transformer)
        self._check_kind(config)
        names = set(self._tensors())
        if not any(part in _HEADS for name in names for part in name.split(".")[:-1]):
            raise self.refused("its weights hold no classification head, so it is an encoder and not a cross-encoder")

    def refused(self, reason: str) -> RerankerError:
        """The error that says why this folder is not used."""
        return RerankerError(
            f"reranker '{self.name}' cannot be used: {reason}. Set {SETTING} to a cross-encoder's folder or hub name."
        )

    @property
    def _transformer(self) -> Path:
        return next((folder for kind, folder in self._steps if kind.endswith(".Transformer")), self.files.path)

    @cached_property
    def _steps(self) -> list[tuple[str, Path]]:
        """(class, folder) of each step. Classes from elsewhere are refused: to name one here is to have it run."""
        file = self.files.path / "modules.json"
        if not file.is_file():
            return []
        try:
            steps = [
                (str(each["type"]), self.files.path / str(each["path"]))
                for each in json.loads(file.read_text(encoding="utf-8"))
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self.refused(f"its modules.json is broken ({type(error).__name__})") from error
        foreign = next((kind for kind, _ in steps if not kind.startswith(_LIBRARY)), None)
        if foreign:
            raise self.refused(f"its modules.json names code from outside sentence-transformers ('{foreign}')")
        return steps

    def _check_kind(self, config: Mapping[str, Any]) -> None:
        listed = config.get("architectures")
        kind = str(listed[0]) if isinstance(listed, list) and listed else "unknown"
        if kind.endswith("ForCausalLM"):  # scores by the logits of two words, as the library's own folders say
            said = read_json(self.files.path / "config_sentence_transformers.json").get("model_type")
            if said == "CrossEncoder":
                return
        if not kind.endswith("ForSequenceClassification"):
            packaged = " (an encoder)" if self.name in PACKAGED else ""
            raise self.refused(f"it is not a cross-encoder{packaged}: its architecture is {kind}")
        names = config.get("id2label")
        labels = len(names) if isinstance(names, dict) else config.get("num_labels", 2)
        if labels != 1:
            raise self.refused(f"it gives {labels} scores for a passage, and a reranker gives one")

    def _tensors(self) -> Iterator[str]:
        """Names of all tensors, from the headers: a file cut short or overwritten is found by them."""
        import numpy  # noqa: F401  # safe_open's "numpy" needs it
        from safetensors import SafetensorError, safe_open

        for file in self._weights():
            try:
                with safe_open(file, framework="numpy") as tensors:
                    yield from tensors.keys()
            except (OSError, SafetensorError) as error:
                raise self.refused(f"{file.name} is missing, cut short or corrupt ({_line(error)})") from error

    def _weights(self) -> Iterator[Path]:
        for folder in dict.fromkeys([self._transformer, *(folder for _, folder in self._steps)]):
            if (folder / _WHOLE).is_file():
                yield folder / _WHOLE
                continue
            if (folder / _SHARDED).is_file():
                placed = self._json(_SHARDED, folder).get("weight_map")
                if not isinstance(placed, dict) or not placed:
                    raise self.refused(f"its {_SHARDED} names no files")
                yield from (folder / each for each in sorted({str(value) for value in placed.values()}))
                continue
            pickled = next((each.name for kind in _PICKLED for each in sorted(folder.glob(kind))), None)
            if pickled:
                raise self.refused(
                    f"its weights are pickled ({pickled}), and reading those can run code: save them as {_WHOLE}"
                )
            if folder == self._transformer:
                raise self.refused(f"it has no {_WHOLE}")

    def _json(self, name: str, folder: Path) -> dict[str, Any]:
        found = read_json(folder / name)
        if not found:
            raise self.refused(f"its {name} is {'broken' if (folder / name).is_file() else 'missing'}")
        return found


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
