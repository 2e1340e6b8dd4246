"""An adapter goes into service when the whole service answers better with it. A stand-in is the model's server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import librarian
from eval.errors import GateFailed
from rag.errors import BadInput, LibrarianError, ModelUnavailable
from rag.profiles import UnknownProfile
from rag.settings import load
from rag.tuning.card import Base, Card, Data
from rag.tuning.in_service import InService, Promoted
from rag.tuning.registry import Registry
from tests.fake_model import FakeModel
from tests.unit.test_adapter_folder import make_adapter

pytestmark = pytest.mark.timeout(300)

# A question a document, and its answer's words.
FACTS = {
    "volcano": ("Lava leaves a volcano through its crater.", "Where does lava leave a volcano?", "through its crater"),
    "glacier": ("A glacier moves slowly downhill.", "Where does a glacier move?", "slowly downhill"),
    "desert": ("A desert gets very little rain.", "How much rain does a desert get?", "very little"),
    "reef": ("Polyps build a reef under water.", "Who builds a reef?", "Polyps"),
    "delta": ("A delta forms where a river slows down.", "Where does a delta form?", "where a river slows down"),
    "cave": ("Bats sleep in a cave by day.", "When do bats sleep in a cave?", "by day"),
    "island": ("An island has sea on all sides.", "What does an island have on all sides?", "sea"),
    "moor": ("A moor is made of wet peat.", "What is a moor made of?", "wet peat"),
}


def knows(body: Any) -> Sequence[str]:
    """What the tuned model says: the answer's words, cited."""
    asked = body["messages"][-1]["content"]
    return [f"{answer} [1]." for _, question, answer in FACTS.values() if question in asked][:1] or ["Nothing."]


def run(*arguments: str | Path) -> Any:
    done = CliRunner().invoke(librarian.build(), [str(each) for each in arguments])
    if isinstance(done.exception, LibrarianError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    folder = tmp_path / "earth"
    (folder / "qrels").mkdir(parents=True)
    records = [json.dumps({"_id": name, "text": text}) for name, (text, _, _) in FACTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(records))
    asked = [json.dumps({"_id": name, "text": text, "answers": [gold]}) for name, (_, text, gold) in FACTS.items()]
    (folder / "queries.jsonl").write_text("\n".join(asked))
    rows = "".join(f"{name}\t{name}\t1\n" for name in FACTS)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeModel]:
    with FakeModel(pieces=["Turtles are nice."], says={"grounded": knows}) as model:
        monkeypatch.setenv("LIBRARIAN_LLM_URL", model.url)
        yield model


@pytest.fixture
def registry(clean_environment: Path, monkeypatch: pytest.MonkeyPatch, model: FakeModel) -> Registry:
    monkeypatch.setenv("LIBRARIAN_MIN_RELEVANCE", "0")
    registry = Registry.of(load().settings)
    for name in ("grounded", "useless"):
        made = make_adapter(registry.work(name) / "made")
        data = Data("toys", "0" * 64, 1, 1, "by document", 0)
        registry.add(made, Card(name, "adapter", Base("fake", "0" * 64), data, "2026-01-01T00:00:00Z", 0))
    return registry


def promote(name: str, questions: Path) -> Any:
    return run("tune", "promote", name, "--on", questions, "--remove-gold", "0", "--json")


def asked_of(model: FakeModel, *options: str) -> str:
    run("ask", "Who builds a reef?", "--json", *options)
    return str(model.chats[-1]["model"])


def test_promote_ask_rollback(registry: Registry, questions: Path, model: FakeModel) -> None:
    run("ingest", questions / "corpus.jsonl", "--json")
    assert asked_of(model) == "fake"
    found = promote("grounded", questions)
    assert found["promoted"]
    loaded = [each.body for each in model.requests if each.path == "/v1/load_lora_adapter"]
    assert loaded == [{"lora_name": "grounded", "lora_path": str(registry.folder / "grounded")}]
    assert asked_of(model) == "grounded"
    numbers = {each.metric: each for each in registry.get("grounded").card.metrics}
    assert numbers["F1"].before is not None
    assert numbers["F1"].after > numbers["F1"].before
    assert asked_of(model, "--profile", "fake") == "fake"
    with pytest.raises(UnknownProfile, match="no profile 'absent', but grounded, fake"):
        asked_of(model, "--profile", "absent")

    assert run("tune", "rollback", "--json")["switched"]["before"] == "grounded"
    assert asked_of(model) == "fake"
    assert asked_of(model, "--profile", "grounded") == "grounded"


def test_what_is_not_better_is_refused(registry: Registry, questions: Path, model: FakeModel) -> None:
    with pytest.raises(GateFailed, match=r"'useless' is not promoted: earth test, 8 queries: F1"):
        promote("useless", questions)
    assert registry.in_service().now("adapter") is None


def test_one_that_always_answers_is_refused_for_it(registry: Registry, questions: Path, model: FakeModel) -> None:
    model.pieces = ["I don't know."]
    with pytest.raises(GateFailed, match="Refused"):
        run("tune", "promote", "grounded", "--on", questions, "--remove-gold", "0.4", "--json")


def test_one_that_refuses_a_few_is_paid_for_that_by_its_f1_and_by_no_other_metric(
    registry: Registry, questions: Path, model: FakeModel
) -> None:
    def cautious(body: Any) -> Sequence[str]:
        return ["I don't know."] if FACTS["reef"][1] in body["messages"][-1]["content"] else knows(body)

    model.says["grounded"] = cautious
    with pytest.raises(GateFailed, match="Answered"):
        run(
            "tune",
            "promote",
            "grounded",
            "--on",
            questions,
            "--remove-gold",
            "0",
            "--metric",
            "CitedRelevant",
            "--json",
        )
    assert promote("grounded", questions)["promoted"]
    answered = next(each for each in registry.get("grounded").card.metrics if each.metric == "Answered")
    assert (answered.before, answered.after) == (1.0, 7 / 8)


def test_a_trial_of_fewer_questions_says_how_many_they_were(
    registry: Registry, questions: Path, model: FakeModel
) -> None:
    arguments = ["tune", "promote", "grounded", "--on", questions, "--remove-gold", "0", "--limit", "6", "--json"]
    assert "6 queries: F1" in run(*arguments)["conditions"][0]["text"]


@pytest.mark.parametrize(("status", "says"), [(404, "VLLM_ALLOW_RUNTIME_LORA_UPDATING"), (400, "at the same path")])
def test_a_server_that_cannot_load_it_is_named(
    registry: Registry, questions: Path, model: FakeModel, status: int, says: str
) -> None:
    model.fail["load"] = status
    with pytest.raises(ModelUnavailable, match=says):
        promote("grounded", questions)


def test_a_stronger_setting_or_one_in_service_is_named_first(
    registry: Registry, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.set_in_service(InService({}).with_promoted("adapter", Promoted("grounded", "2026-01-01T00:00:00Z")))
    with pytest.raises(BadInput, match="in service already"):
        promote("grounded", questions)
    monkeypatch.setenv("LIBRARIAN_LLM_MODEL", "fake")
    with pytest.raises(BadInput, match="llm_model is set"):
        promote("useless", questions)
    monkeypatch.setenv("LIBRARIAN_ENGINE_ADAPTER", "none")
    with pytest.raises(BadInput, match="engine_adapter is set by environment"):
        promote("useless", questions)
