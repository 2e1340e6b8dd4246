"""A tuned model goes into service only with evidence, everything uses it from then on, and one step undoes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import librarian
from eval.errors import GateFailed, NothingPromoted
from rag.encoders import LocalEncoder
from rag.encoders.folder import find_folder
from rag.errors import BadInput, LibrarianError
from rag.settings import load
from rag.tuning.card import Base, Card, Data
from rag.tuning.errors import ArtefactRefused
from rag.tuning.in_service import InService, Promoted
from rag.tuning.registry import Registry
from tests.tuning_kit import tiny_encoder

pytestmark = pytest.mark.timeout(600)

# One question a document, in other words than its text: an encoder that knows no language finds none.
DOCUMENTS = {
    "volcano": ("Lava, ash and hot gases escape from a rupture in the crust.", "Where does molten rock come out?"),
    "glacier": ("A persistent body of dense ice, slowly moving downhill.", "What frozen mass creeps along valleys?"),
    "desert": ("Barren land on which little rain falls.", "Which region is extremely dry?"),
    "reef": ("Colonies of polyps build it under water.", "What do corals make in the ocean?"),
    "delta": ("Sediment settles where a river enters slower water.", "What forms at the mouth of a stream?"),
    "forest": ("Trees grow close to one another over a large area.", "Where is a lot of wood found?"),
    "cave": ("A natural hollow below the ground.", "What do bats live in, underneath the earth?"),
    "island": ("Land with sea on all sides.", "What is completely surrounded by an ocean?"),
}


def run(*arguments: str | Path) -> Any:
    """The whole command, in this process, with JSON as its answer; a known error comes as itself."""
    done = CliRunner().invoke(librarian.build(), [str(each) for each in arguments])
    if isinstance(done.exception, LibrarianError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    folder = tmp_path / "earth"
    (folder / "qrels").mkdir(parents=True)
    records = [json.dumps({"_id": name, "text": text}) for name, (text, _) in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(records))
    asked = [json.dumps({"_id": name, "text": question}) for name, (_, question) in DOCUMENTS.items()]
    (folder / "queries.jsonl").write_text("\n".join(asked))
    rows = "".join(f"{name}\t{name}\t1\n" for name in DOCUMENTS)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


@pytest.fixture
def registry(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two encoders as artefacts: `random`, which is in service, and `trained`, which is MiniLM itself."""
    monkeypatch.setenv("LIBRARIAN_DENSE_WEIGHT", "1")
    registry = Registry.of(load().settings)
    add(registry, "random", tiny_encoder(clean_environment / "tiny"))
    add(registry, "trained", find_folder("minilm"))
    registry.set_in_service(InService({}).with_promoted("encoder", Promoted("random", "2026-01-01T00:00:00Z")))
    return registry


def add(registry: Registry, name: str, model: Path) -> None:
    made = registry.work(name) / "model"
    shutil.copytree(model, made, ignore=shutil.ignore_patterns("*.bin", "*.h5", "*.onnx", "*.py", "__pycache__", "raw"))
    data = Data("toys", "0" * 64, 1, 1, "by document", 0)
    registry.add(made, Card(name, "encoder", Base("minilm", "0" * 64), data, "2026-01-01T00:00:00Z", 0))


@pytest.fixture
def documents(registry: Registry, tmp_path: Path) -> Path:
    """Documents in the default collection, ingested with what is in service."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, (text, _) in DOCUMENTS.items():
        (folder / f"{name}.md").write_text(f"{text}\n")
    run("ingest", folder)
    return folder


def best(question: str) -> str:
    found = run("search", question, "--json")
    return Path(found["data"][0]["source"]).stem


def in_service(registry: Registry) -> str | None:
    now = registry.in_service().now("encoder")
    return now.name if now else None


def test_promote_ask_rollback(registry: Registry, documents: Path, questions: Path) -> None:
    asked = {name: DOCUMENTS[name][1] for name in ("volcano", "glacier", "reef", "island")}
    found = run("tune", "promote", "trained", "--on", questions, "--guard", questions, "--json")
    assert found["promoted"]
    assert found["switched"]["collections"] == ["documents"]
    assert in_service(registry) == "trained"
    assert {best(question) for question in asked.values()} == set(asked)

    # What is ingested meanwhile is carried over when one goes back.
    (documents / "moor.md").write_text("Wet ground of peat and moss.\n")
    run("ingest", documents)
    back = run("tune", "rollback", "--json")["switched"]
    assert back == {"kind": "encoder", "now": "random", "before": "trained", "collections": ["documents"]}
    assert in_service(registry) == "random"
    assert best("Wet ground of peat and moss.") == "moor"

    metrics = registry.get("trained").card.metrics
    assert [each.data for each in metrics] == ["earth test, whole search"]
    assert metrics[0].before is not None
    assert metrics[0].after > metrics[0].before


def test_rolled_back_to_nothing_the_settings_decide(registry: Registry, documents: Path) -> None:
    served = registry.in_service().now("encoder")
    assert served is not None
    facts = {"collections": ["documents", "gone"]}
    registry.set_in_service(InService({}).with_promoted("encoder", Promoted("random", served.since, facts)))
    assert run("tune", "rollback", "encoder", "--json")["switched"]["now"] is None
    assert load().settings.encoder == "minilm"
    assert best("Where does molten rock come out?") == "volcano"
    with pytest.raises(NothingPromoted, match="nothing to go back from"):
        run("tune", "rollback")


def test_what_is_not_better_is_refused_and_nothing_changes(
    registry: Registry, documents: Path, questions: Path
) -> None:
    registry.set_in_service(InService({}))
    run("reindex", "--encoder", "minilm")
    with pytest.raises(GateFailed, match=r"'random' is not promoted: earth test, 8 queries: nDCG@10") as refused:
        run("tune", "promote", "random", "--on", questions)
    assert refused.value.exit_code == 12
    assert in_service(registry) is None
    assert best("Where does molten rock come out?") == "volcano"


def test_the_same_model_is_not_better_than_itself(registry: Registry, questions: Path, tmp_path: Path) -> None:
    add(registry, "again", find_folder("minilm"))
    registry.set_in_service(InService({}).with_promoted("encoder", Promoted("trained", "2026-01-01T00:00:00Z")))
    with pytest.raises(GateFailed, match="not better beyond the noise"):
        run("tune", "promote", "again", "--on", questions)


def test_a_broken_artefact_is_not_even_tried(registry: Registry, questions: Path) -> None:
    weights = registry.folder / "trained" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ArtefactRefused, match=r"model\.safetensors"):
        run("tune", "promote", "trained", "--on", questions)
    assert in_service(registry) == "random"


def test_a_stronger_setting_is_named_before_anything_is_done(
    registry: Registry, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBRARIAN_ENCODER", "minilm")
    with pytest.raises(BadInput, match="encoder is set by environment"):
        run("tune", "promote", "trained", "--on", questions)


def test_the_tuned_encoder_against_an_old_collection_is_refused(registry: Registry, documents: Path) -> None:
    from rag.errors import FingerprintMismatch

    with pytest.raises(FingerprintMismatch, match="librarian reindex"):
        run("search", "ice", "--set", f"encoder={registry.folder / 'trained'}")
    assert LocalEncoder(str(registry.folder / "trained")).fingerprint["sha256"]
