"""`librarian eval calibrate` with the real ingestion, encoder and index, as a person calls it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import librarian
from eval.errors import DatasetError
from rag.errors import LibrarianError
from rag.index import open_index
from rag.relevance import METADATA, Calibration
from rag.settings import Settings

THINGS = tuple(
    "anvil basket candle drum engine fiddle gate hammer island jacket kettle ladder mirror needle oven pillow quilt "  # noqa: SIM905
    "ribbon saddle teapot umbrella violin wagon".split()
)


@pytest.fixture
def things(clean_environment: Path) -> Path:
    folder = clean_environment / "things"
    (folder / "qrels").mkdir(parents=True)
    texts = [f"The {each} of the house stands beside the {each} shelf and was bought in spring." for each in THINGS]
    lines = [json.dumps({"_id": name, "title": name, "text": text}) for name, text in zip(THINGS, texts, strict=True)]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    asked = [json.dumps({"_id": f"q-{each}", "text": f"When was the {each} bought?"}) for each in THINGS]
    (folder / "queries.jsonl").write_text("\n".join(asked) + "\n")
    (folder / "qrels" / "train.tsv").write_text("".join(f"q-{each}\t{each}\t1\n" for each in THINGS))
    (folder / "qrels" / "test.tsv").write_text(f"q-{THINGS[0]}\t{THINGS[0]}\t1\n")
    return folder


def calibrate(*arguments: str | Path) -> str:
    done = CliRunner().invoke(librarian.build(), ["eval", "calibrate", *(str(each) for each in arguments)])
    if isinstance(done.exception, LibrarianError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def stored(name: str) -> Calibration:
    with closing(open_index(Settings(data_dir=Path(".librarian/eval")))) as index:
        return Calibration.of(index.describe(name).spec.metadata)


def test_a_fit_is_kept_with_the_collection_and_tells_the_kinds_apart(things: Path) -> None:
    dry = json.loads(calibrate(things, "--dry-run", "--json"))
    assert stored(dry["collection"]) == Calibration()
    done = json.loads(calibrate(things, "--json"))
    fitted = stored(done["collection"])
    assert fitted == Calibration(**done["calibration"])
    assert fitted != Calibration()
    assert done["calibration"] == dry["calibration"]
    assert done["answerable_refused"] <= 0.1
    assert done["hidden_refused"] > 0.8
    assert json.loads(calibrate(things, "--dry-run", "--json"))["before"] == done["calibration"]
    with closing(open_index(Settings(data_dir=Path(".librarian/eval")))) as index:
        assert index.describe(done["collection"]).spec.metadata[METADATA]["split"] == "train"


def test_too_few_questions_are_no_fit(things: Path) -> None:
    with pytest.raises(DatasetError, match="1 questions"):
        calibrate(things, "--split", "test")
