"""`librarian collections` and `librarian reindex` as they are typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import librarian
from rag.errors import LibrarianError
from rag.index import holder
from rag.index.embedded import EmbeddedIndex
from rag.records import RESERVED, Records
from rag.schema import Scope
from tests.integration.reindexing import HashEncoder, fill

ROOT = Path(__file__).parents[2]
FIRST = HashEncoder("first")


@pytest.fixture
def folder(clean_environment: Path) -> Path:
    """A data folder with the collection "documents": 2 tenants, 3 documents each."""
    folder = clean_environment / "data"
    index = EmbeddedIndex(folder / "index")
    fill(index, FIRST, documents=3)
    index.close()
    return folder


@pytest.fixture
def run(folder: Path) -> Callable[..., Any]:
    """`run("list")` calls the command on the folder: its output, or the error that it ends with."""

    def call(*arguments: str) -> Any:
        command = ["collections", *arguments, "--data-dir", str(folder)]
        done = CliRunner().invoke(librarian.build(), command)
        if isinstance(done.exception, LibrarianError):
            assert "\n" not in str(done.exception)
            return done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.output) if "--json" in arguments else done.output

    return call


def names(folder: Path) -> dict[str, tuple[str, ...]]:
    index = EmbeddedIndex(folder / "index")
    try:
        return {info.name: info.aliases for info in index.collections()}
    finally:
        index.close()


def own(folder: Path) -> str:
    return next(name for name, aliases in names(folder).items() if "documents" in aliases)


def test_list_shows_aliases_documents_points_and_what_each_was_built_with(run: Callable[..., Any]) -> None:
    (facts,) = run("list", "--json")
    assert facts["aliases"] == ["documents"]
    assert facts["documents"] == 6
    assert facts["points"] > 6
    assert any("encoder 'first'" in each for each in facts["built_with"])
    table = run("list").splitlines()
    assert table[0].split() == ["COLLECTION", "ALIASES", "DOCUMENTS", "POINTS", "BUILT", "WITH"]
    assert table[1].split()[:4] == [facts["name"], "documents", "6", str(facts["points"])]


def test_an_index_without_collections_says_what_makes_one(clean_environment: Path) -> None:
    done = CliRunner().invoke(librarian.build(), ["collections", "list", "--data-dir", str(clean_environment / "x")])
    assert "librarian ingest FOLDER" in done.output


def test_describe_tells_tenants_apart(run: Callable[..., Any]) -> None:
    facts = run("describe", "documents", "--json")
    assert {tenant: held["documents"] for tenant, held in facts["tenants"].items()} == {"acme": 3, "default": 3}
    assert facts["dense_size"] == 8
    assert facts["metadata"]["dense"]["name"] == "first"
    text = run("describe", "documents")
    assert "acme: 3 documents" in text
    assert facts["name"] in text


def test_an_unknown_collection_is_one_line_and_exit_code_4(run: Callable[..., Any]) -> None:
    error = run("describe", "missing")
    assert (error.code, error.exit_code) == ("collection_not_found", 4)


def test_alias_gives_a_name_but_never_takes_one_away(run: Callable[..., Any], folder: Path) -> None:
    name = own(folder)
    run("alias", "handbook", "documents")
    assert names(folder) == {name: ("documents", "handbook")}
    run("alias", "handbook", name)
    index = EmbeddedIndex(folder / "index")
    index.create("other", index.describe(name).spec)
    index.close()
    error = run("alias", "handbook", "other")
    assert "collections swap handbook other" in str(error)
    assert run("alias", "other", "documents").code == "collection_exists"


def test_swap_moves_an_alias_and_says_how_to_go_back(run: Callable[..., Any], folder: Path) -> None:
    name = own(folder)
    index = EmbeddedIndex(folder / "index")
    index.create("other", index.describe(name).spec)
    index.close()
    said = run("swap", "documents", "other")
    assert names(folder) == {name: (), "other": ("documents",)}
    back = f"librarian collections swap documents {name}"
    assert back in said
    assert run(*back.split()[2:], "--json") == {"alias": "documents", "collection": name, "was": "other"}
    assert names(folder) == {name: ("documents",), "other": ()}
    assert run("swap", "other", name).exit_code == 2


def test_delete_wants_a_yes_and_force_for_what_is_in_use(run: Callable[..., Any], folder: Path) -> None:
    name = own(folder)
    assert name in str(run("delete", "documents", "--yes"))
    assert "documents" in str(run("delete", name, "--yes"))
    assert "--yes" in str(run("delete", name, "--force"))
    assert names(folder) == {name: ("documents",)}
    run("delete", name, "--yes", "--force")
    assert names(folder) == {}


def test_an_optimized_collection_holds_what_it_held(run: Callable[..., Any], folder: Path) -> None:
    before = run("describe", "documents", "--json")
    assert f"{own(folder)} is optimized" in run("optimize", "documents")
    assert run("describe", "documents", "--json") == before
    assert run("optimize", "no-such").exit_code == 4


def test_the_services_records_are_not_deleted_by_the_way(run: Callable[..., Any], folder: Path) -> None:
    index = EmbeddedIndex(folder / "index")
    Records(index).put("note", "1", {"kept": True}, Scope.owner())
    index.close()
    assert "issued keys" in str(run("delete", RESERVED, "--yes"))
    assert RESERVED in names(folder)
    run("delete", RESERVED, "--yes", "--force")
    assert RESERVED not in names(folder)


def test_a_snapshot_is_restored_under_another_name_and_alias(run: Callable[..., Any], folder: Path) -> None:
    name = own(folder)
    run("snapshot", "documents", "backup.gz")
    assert Path("backup.gz").exists()
    facts = run("restore", "backup.gz", "--as", "copy", "--alias", "second", "--json")
    assert (facts["collection"], facts["alias"]) == ("copy", "second")
    assert names(folder) == {"copy": ("second",), name: ("documents",)}
    index = EmbeddedIndex(folder / "index")
    owner = Scope.owner("acme")
    assert list(index.scroll("copy", owner)) == list(index.scroll("documents", owner))
    index.close()
    assert run("restore", "backup.gz").code == "collection_exists"
    assert run("restore", "absent.gz").code == "bad_snapshot"


def test_a_snapshot_names_its_file_itself_where_none_is_given(run: Callable[..., Any], folder: Path) -> None:
    facts = run("snapshot", "documents", "--json")
    assert Path(facts["file"]).name.startswith(own(folder))
    assert facts["bytes"] == Path(facts["file"]).stat().st_size
    assert facts["points"] > 0


def test_a_folder_that_a_server_holds_says_who_holds_it(run: Callable[..., Any], folder: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom rag.index.embedded import EmbeddedIndex\n"
        "index = EmbeddedIndex(Path(sys.argv[1]))\nindex.announce('http://127.0.0.1:8123')\n"
        "print('held', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "index")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert holder(folder / "index") is not None
        error = run("list")
        assert error.exit_code == 6
        assert str(process.pid) in str(error)
        assert "Stop that server" in str(error)
    finally:
        process.kill()
        process.communicate()


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("librarian", path=str(Path(sys.executable).parent))
    assert program is not None
    return subprocess.run(
        [program, *arguments, "--data-dir", str(folder)], capture_output=True, text=True, timeout=120, cwd=folder
    )


def test_reindex_builds_with_the_packaged_encoder_and_has_nothing_to_do_the_second_time(folder: Path) -> None:
    old = own(folder)
    done = command("reindex", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "encoder 'first'" in done.stdout
    assert "encoder 'minilm'" in done.stdout
    assert f"Deleted the old collection {old}" in done.stdout
    assert old not in names(folder)
    again = command("reindex", "--json", folder=folder)
    facts = json.loads(again.stdout)
    assert (facts["changes"], facts["new"], facts["written"]) == ([], None, 0)


def test_an_unknown_collection_ends_a_reindex_with_one_line(folder: Path) -> None:
    done = command("reindex", "--collection", "missing", folder=folder)
    assert done.returncode == 4
    assert done.stderr.startswith("librarian: no collection or alias 'missing'")
    assert len(done.stderr.splitlines()) == 1
