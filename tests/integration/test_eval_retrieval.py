"""`librarian eval retrieval` with the real ingestion, encoder and index, as a person calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytrec_eval
from typer.testing import CliRunner, Result

import librarian
from eval.datasets import open_dataset
from eval.indexing import collection_name, own_index
from rag.collections import fingerprint, make
from rag.encoders import Bm25Encoder, LocalEncoder
from rag.errors import BadInput, CollectionNotFound, LibrarianError
from rag.index import open_index
from rag.jobs import JobStore
from rag.records import Records
from rag.schema import Scope
from rag.settings import Settings

XQUAD = Path(__file__).parents[3] / "shared" / "data" / "xquad"

TEXTS = {
    "volcano": "A volcano is a rupture in the crust of a planet that lets hot lava, ash and gases escape.",
    "glacier": "A glacier is a persistent body of dense ice that moves slowly under its own weight.",
    "desert": "A desert is a barren area of landscape where little rain falls and few plants can live.",
    "reef": "A coral reef is an underwater ecosystem built by colonies of coral polyps held by calcium carbonate.",
    "delta": "A river delta is a landform shaped by deposition of sediment where a river enters slower water.",
}
QUESTIONS = {
    "q1": ("Where does lava come out?", "volcano"),
    "q2": ("Which body of ice moves under its weight?", "glacier"),
    "q3": ("What do coral polyps build?", "reef"),
}


def questions(folder: Path, name: Callable[[str], str]) -> None:
    lines = [json.dumps({"_id": query, "text": text}) for query, (text, _) in QUESTIONS.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels").mkdir()
    rows = "".join(f"{query}\t{name(document)}\t1\n" for query, (_, document) in QUESTIONS.items())
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "earth"
    folder.mkdir()
    records = [json.dumps({"_id": f"{name} #1", "title": name, "text": text}) for name, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(records) + "\n")
    questions(folder, lambda name: f"{name} #1")
    return folder


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    """Documents of several formats, beside the queries."""
    folder = tmp_path / "hand book"
    (folder / "land forms").mkdir(parents=True)
    for name, text in TEXTS.items():
        (folder / "land forms" / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n")
    (folder / "land forms" / "reef.md").rename(folder / "reef.txt")
    questions(folder, lambda name: "reef.txt" if name == "reef" else f"land forms/{name}.md")
    return folder


def run(*arguments: str | Path) -> Result:
    """The whole command, in this process; a known error comes as itself."""
    done = CliRunner().invoke(librarian.build(), [str(each) for each in arguments])
    if isinstance(done.exception, LibrarianError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("eval", "retrieval", *arguments, "--json").stdout)
    return found


def test_a_beir_folder_is_evaluated_and_written_so_that_trec_eval_agrees(clean_environment: Path, beir: Path) -> None:
    found = evaluated(beir, "--out", "report")
    assert list(found)[:5] == ["dataset", "config", "metrics", "intervals", "latency_ms"]
    assert found["metrics"]["nDCG@10"] == 1.0
    assert (found["dataset"]["documents"], found["dataset"]["queries"]) == (5, 3)
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]
    assert set(found["latency_ms"]["stages"]) >= {"encode", "search", "fetch"}
    report = clean_environment / "report"
    assert {each.name for each in report.iterdir()} >= {"result.json", "run-default.trec", "qrels.trec", "report.md"}
    with (report / "run-default.trec").open() as trec, (report / "qrels.trec").open() as qrels:
        theirs = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(qrels), {"map"}).evaluate(
            pytrec_eval.parse_run(trec)
        )
    assert {query: each["map"] for query, each in theirs.items()} == found["per_query"]["AP"]


def test_a_folder_of_documents_is_evaluated_without_what_lies_beside_them(
    clean_environment: Path, handbook: Path
) -> None:
    found = evaluated(handbook)
    assert (found["dataset"]["documents"], found["dataset"]["missing"]) == (5, 0)
    assert found["metrics"]["nDCG@10"] == 1.0


def test_configurations_of_retrieval_share_an_index_and_are_compared(
    clean_environment: Path, beir: Path, settings: Callable[..., Settings]
) -> None:
    Path("one.toml").write_text("rrf_k = 60\n")
    Path("two.toml").write_text("candidates = 1\n")
    found = evaluated(beir, "--config", "one.toml", "--config", "two.toml", "--limit", "2")
    assert [each["config"]["name"] for each in found["runs"]] == ["one", "two"]
    assert [each["config"]["settings"] for each in found["runs"]] == [{"rrf_k": 60.0}, {"candidates": 1}]
    assert {(each["a"], each["b"]) for each in found["comparisons"]} == {("one", "two")}
    with closing(open_index(own_index(settings()))) as index:
        names = [alias for each in index.collections() for alias in each.aliases]
        assert len(names) == 1
        assert names[0].startswith("eval-earth-")


def test_a_second_evaluation_embeds_nothing_and_a_changed_document_is_noticed(
    clean_environment: Path, beir: Path, settings: Callable[..., Settings]
) -> None:
    evaluated(beir)
    evaluated(beir, "--set", "rrf_k=3")
    corpus = (beir / "corpus.jsonl").read_text()
    (beir / "corpus.jsonl").write_text(corpus.replace("hot lava", "molten lava"))
    evaluated(beir)
    with closing(open_index(own_index(settings()))) as index:
        reports = [each.report or {} for each in JobStore(Records(index), "default").latest(Scope.owner())]
    counts = sorted((each["added"], each["kept"], each["replaced"]) for each in reports)
    assert counts == [(0, 4, 1), (0, 5, 0), (5, 0, 0)]


def test_another_chunk_size_is_another_index(
    clean_environment: Path, beir: Path, settings: Callable[..., Settings]
) -> None:
    Path("small.toml").write_text("chunk_tokens = 16\n")
    Path("large.toml").write_text("chunk_tokens = 64\n")
    found = evaluated(beir, "--config", "small.toml", "--config", "large.toml", "--no-keep")
    assert found["runs"][0]["dataset"]["chunks"] > found["runs"][1]["dataset"]["chunks"]
    assert found["runs"][0]["config"]["index"]["chunker"] != found["runs"][1]["config"]["index"]["chunker"]
    with closing(open_index(own_index(settings()))) as index:
        assert [each for each in index.collections() if each.aliases] == []


def test_an_index_cut_by_another_version_of_the_chunker_is_built_anew(
    clean_environment: Path, beir: Path, settings: Callable[..., Settings], minilm: LocalEncoder
) -> None:
    where, sparse = own_index(settings()), Bm25Encoder()
    name = collection_name(open_dataset(beir), where, minilm, sparse)
    with closing(open_index(where)) as index:
        make(index, name, {**fingerprint(minilm, sparse), "chunker": "an older one"}, 384)
    assert evaluated(beir)["dataset"]["documents"] == 5
    with closing(open_index(where)) as index:
        assert index.describe(name).spec.metadata["chunker"] != "an older one"


def test_a_collection_that_is_there_already_can_be_asked(clean_environment: Path, handbook: Path) -> None:
    run("ingest", handbook / "land forms", "--collection", "mine")
    done = run("eval", "retrieval", handbook, "--collection", "mine", "--out", "report")
    assert "1 judged documents are not in the index" in done.stderr
    found = json.loads(Path("report/result.json").read_text())
    assert found["per_query"]["RR@10"] == {"q1": 1.0, "q2": 1.0, "q3": 0.0}
    assert found["queries"]["q1"]["found"][0]["document"] == "land forms/volcano.md"
    with pytest.raises(CollectionNotFound):
        run("eval", "retrieval", handbook, "--collection", "other")
    (handbook / "elsewhere").mkdir()
    (handbook / "elsewhere" / "a.md").write_text("# A\n\nSomething else.\n")
    run("ingest", handbook / "elsewhere", "--collection", "else")
    with pytest.raises(BadInput, match="holds none of the 3 documents"):
        run("eval", "retrieval", handbook, "--collection", "else")


def test_the_table_says_what_was_found_how_fast_and_where_the_report_is(clean_environment: Path, beir: Path) -> None:
    (beir / "dataset.json").write_text('{"synthetic": true}')
    done = run("eval", "retrieval", beir, "--metric", "p@1", "--metric", "ndcg@5", "--concurrency", "4")
    assert "SYNTHETIC" in done.stdout
    assert "1.000 [1.000, 1.000]" in done.stdout
    assert "with 4 at once" in done.stdout
    report = Path(done.stdout.strip().rpartition("report: ")[2])
    assert json.loads((report / "result.json").read_text())["dataset"]["synthetic"] is True
    assert list(json.loads((report / "result.json").read_text())["metrics"]) == ["P@1", "nDCG@5"]


def test_a_setting_that_is_wrong_names_its_file(clean_environment: Path, beir: Path) -> None:
    Path("wrong.toml").write_text("rrf = 3\n")
    with pytest.raises(LibrarianError, match=r"wrong\.toml: unknown setting 'rrf'"):
        run("eval", "retrieval", beir, "--config", "wrong.toml")


@pytest.mark.skipif(not XQUAD.is_dir(), reason=f"NO REAL DATA: {XQUAD} is not there, so nothing here was checked")
def test_paragraphs_of_wikipedia_are_found_by_their_questions(clean_environment: Path) -> None:
    found = evaluated(XQUAD, "--limit", "100")
    assert found["dataset"]["documents"] == 110
    assert found["metrics"]["R@5"] > 0.95
