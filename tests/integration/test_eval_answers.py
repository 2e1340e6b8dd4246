"""`librarian eval answers` and `eval make` with the real ingestion, encoder and index, as a person calls them.

A stand-in (tests/fake_model.py) takes the chat model's place: it says the same to every question.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import librarian
from eval.errors import DatasetError
from eval.result import read
from rag.errors import BadInput, LibrarianError, ModelUnavailable
from tests.fake_model import FakeModel

TEXTS = {
    "volcano": "A volcano is a rupture in the crust of a planet that lets hot lava, ash and gases escape.",
    "glacier": "A glacier is a persistent body of dense ice that moves slowly under its own weight.",
    "desert": "A desert is a barren area of landscape where little rain falls and few plants can live.",
}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {
        "_id": "q1",
        "text": "Out of which rupture in the crust does hot lava escape?",
        "metadata": {"answers": ["volcano"]},
    },
    {"_id": "q2", "text": "Which body of dense ice moves slowly?", "metadata": {"answers": ["glacier"]}},
    {"_id": "q3", "text": "Who won the election of the parliament in 1987?", "metadata": {"answerable": False}},
)


@pytest.fixture
def earth(clean_environment: Path) -> Path:
    folder = clean_environment / "earth"
    (folder / "qrels").mkdir(parents=True)
    records = [json.dumps({"_id": name, "title": name, "text": text}) for name, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(records) + "\n")
    (folder / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in QUESTIONS))
    (folder / "qrels" / "test.tsv").write_text("q1\tvolcano\t1\nq2\tglacier\t1\n")
    return folder


def run(*arguments: str | Path) -> Result:
    """The whole command, in this process; a known error comes as itself."""
    done = CliRunner().invoke(librarian.build(), ["eval", *(str(each) for each in arguments)])
    if isinstance(done.exception, LibrarianError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def answers(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("answers", *arguments, "--json").stdout)
    return found


def test_answers_are_asked_for_measured_and_reported(earth: Path, fake_model: FakeModel) -> None:
    fake_model.pieces = ("A volcano lets hot lava ", "escape [1].")
    found = answers(earth, "--llm-url", fake_model.url, "--out", "report")
    assert found["metrics"]["Refused"] == found["metrics"]["Answered"] == found["metrics"]["AbstentionF1"] == 1.0
    assert found["per_query"]["Contains"] == {"q1": 1.0, "q2": 0.0}
    assert found["per_query"]["CitationRecall"]["q1"] == 1.0
    assert found["answers"]["model"] == "fake"
    assert found["answers"]["times_ms"]["total"]["answers"] == 2
    assert read(Path("report/result.json")).runs[0].metrics == found["metrics"]
    text = Path("report/report.md").read_text()
    assert "CitationRecall (lexical)" in text
    assert len(fake_model.chats) == 2  # the unanswerable question never came to the model


def test_an_interrupted_evaluation_asks_only_what_is_left(earth: Path, fake_model: FakeModel) -> None:
    fake_model.fail["chat"] = 500
    with pytest.raises(ModelUnavailable):
        run("answers", earth, "--llm-url", fake_model.url, "--out", "report")
    fake_model.fail.clear()
    answers(earth, "--llm-url", fake_model.url, "--out", "report")
    asked = len(fake_model.chats)
    again = answers(earth, "--llm-url", fake_model.url, "--out", "report")
    assert len(fake_model.chats) == asked
    assert again["dataset"]["queries"] == 3
    with pytest.raises(BadInput, match="other settings"):
        run("answers", earth, "--llm-url", fake_model.url, "--out", "report", "--set", "top_k=1")


def test_abstention_is_measured_without_any_model(earth: Path) -> None:
    found = answers(earth, "--retrieval-only", "--llm-url", "http://127.0.0.1:9/v1")
    assert found["metrics"]["Refused"] == found["metrics"]["Answered"] == found["metrics"]["Supplied"] == 1.0
    assert "F1" not in found["metrics"]
    assert found["answers"]["model"] is None


def test_hidden_documents_make_a_question_unanswerable(earth: Path) -> None:
    found = answers(earth, "--retrieval-only", "--remove-gold", "1")
    assert found["answers"]["hidden"] == 2
    assert found["answers"]["questions"] == {"unanswerable": 3}
    assert "Answered" not in found["metrics"]
    kept = [json.loads(line) for line in next(Path(".librarian").rglob("answers.jsonl")).read_text().splitlines()[1:]]
    gold = {"q1": "volcano", "q2": "glacier"}
    assert all(source["document"] != gold.get(each["id"]) for each in kept for source in each["sources"])


def test_a_missing_model_is_one_line_that_says_what_to_do(earth: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"start it with `librarian model`.*--retrieval-only"):
        run("answers", earth, "--set", "engine_port=9")


def test_a_judge_is_asked_once_for_each_pair_and_is_not_trusted_unvalidated(earth: Path, fake_model: FakeModel) -> None:
    fake_model.pieces = ("A volcano lets hot lava escape [1].",)
    with FakeModel(pieces=["supported"]) as judge:
        more = ("--llm-url", fake_model.url, "--out", "report", "--judge-url", judge.url)
        found = answers(earth, *more)
        assert found["answers"]["judge"]["Grounded"]["mean"] == 1.0
        assert "judge not validated" in Path("report/report.md").read_text()
        assert {each["temperature"] for each in judge.chats} == {0.0}
        asked = len(judge.chats)
        answers(earth, *more)
        assert len(judge.chats) == asked
        labels = [
            {"sentence": f"Lava is {number}.", "passage": "Lava.", "supported": number > 0} for number in range(4)
        ]
        Path("labels.jsonl").write_text("".join(json.dumps(each) + "\n" for each in labels))
        found = answers(earth, *more, "--judge-labels", "labels.jsonl")
        assert found["answers"]["judge"]["validation"] == {"pairs": 4, "judged": 4, "agreement": 0.75, "kappa": 0.0}


def test_a_judge_that_says_something_else_is_counted_and_not_believed(earth: Path, fake_model: FakeModel) -> None:
    fake_model.pieces = ("A volcano lets hot lava escape [1].",)
    with FakeModel(pieces=["I think it is supported"]) as judge:
        found = answers(earth, "--llm-url", fake_model.url, "--judge-url", judge.url)["answers"]["judge"]
    assert found["errors"] > 0
    assert "Grounded" not in found


@pytest.fixture
def handbook(clean_environment: Path) -> Path:
    folder = clean_environment / "hand book"
    folder.mkdir()
    for name, text in TEXTS.items():
        visit = f"Take a guide along when you want to see the {name}, for not all roads are safe in winter. " * 6
        sections = f"## What is a {name}?\n\n{f'{text} ' * 5}\n\n## Visiting {name} regions\n\n{visit}\n"
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n{sections}\n## Overview\n\nMore of the {name}.\n")
    return folder


def test_a_made_set_is_marked_synthetic_and_can_be_evaluated(handbook: Path) -> None:
    facts = json.loads(run("make", handbook, "--out", "made", "--json").stdout)
    assert facts["kept"] >= 6
    assert facts["made"] == facts["kept"] + sum(facts["dropped"].values())
    asked = {json.loads(line)["text"] for line in Path("made/queries.jsonl").read_text().splitlines()}
    assert {"What is a volcano?", "How do I visit glacier regions?"} & asked
    split = next(name for name, count in facts["splits"].items() if count)
    done = run("retrieval", "made", "--split", split, "--out", "report")
    assert "SYNTHETIC" in done.stdout
    assert json.loads(Path("report/result.json").read_text())["metrics"]["Success@5"] == 1.0
    assert "SYNTHETIC" in run("answers", "made", "--split", split, "--retrieval-only").stdout


def test_the_model_writes_questions_and_bad_ones_are_dropped_with_their_reason(
    handbook: Path, fake_model: FakeModel
) -> None:
    fake_model.pieces = ("This is no question",)
    facts = json.loads(run("make", handbook, "--out", "made", "--model", "--llm-url", fake_model.url, "--json").stdout)
    assert facts["model"] == "fake"
    assert all(reason.startswith("model: ") or count for reason, count in facts["dropped"].items())


def test_a_set_is_not_made_among_its_own_documents_nor_over_another(handbook: Path, earth: Path) -> None:
    with pytest.raises(DatasetError, match="lies in the documents"):
        run("make", handbook, "--out", handbook / "made")
    with pytest.raises(DatasetError, match="not made here"):
        run("make", handbook, "--out", earth)
