"""Who may import whom, and what a quick command must not load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a package may import of the project besides itself. The command's module holds the types of its options.
MAY_IMPORT = {
    "rag": set(),
    "ingest": {"rag", "librarian"},
    "eval": {"rag", "librarian"},
    "serve": {"rag", "librarian"},
}
PROJECT = {*MAY_IMPORT, "librarian"}
HEAVY = {"torch", "transformers", "sentence_transformers", "langchain", "langchain_core", "langchain_openai", "openai"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The full name of every module that a file imports, wherever in the file; relative imports resolved."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            yield ".".join(filter(None, [base, node.module]))


def importers(module: str, *packages: str) -> set[str]:
    """The project's files that import `module` or something below it."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in sources(package)
        if any(each == module or each.startswith(f"{module}.") for each in imports(path))
    }


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    assert sources(package)
    found = {
        (path.relative_to(ROOT).as_posix(), each)
        for path in sources(package)
        for each in imports(path)
        if each.split(".")[0] in PROJECT - {package} - MAY_IMPORT[package]
    }
    assert found == set()


def test_only_the_index_knows_qdrant_client() -> None:
    found = importers("qdrant_client", *MAY_IMPORT)
    assert found
    assert {each for each in found if not each.startswith("rag/index/")} == set()


def test_vllm_is_imported_nowhere() -> None:
    assert importers("vllm", *MAY_IMPORT) == set()


def test_the_library_knows_no_web_and_no_command_line() -> None:
    for module in ("fastapi", "starlette", "uvicorn", "typer", "click", "rich", "kubernetes"):
        assert importers(module, "rag") == set(), module


def test_the_environment_is_read_for_settings_in_one_file_only() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in sources("rag")
        if "environ.get(" in path.read_text() or "os.getenv(" in path.read_text() or "environ)" in path.read_text()
    }
    assert readers - {"rag/settings.py"} == set()


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after `code`."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\0' + ' '.join(sys.modules))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIBRARIAN_")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("\0", 1)[1].split())


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("sys.argv = ['librarian', '--help']; import librarian; librarian.main()")
    assert "typer" in loaded
    assert loaded & {*HEAVY, "qdrant_client", "qdrant_edge", "fastapi", "pydantic", "numpy", "httpx2"} == set()


@pytest.mark.parametrize("module", ["rag.settings", "rag.schema", "rag.errors", "rag.encoders", "rag.retrieval"])
def test_importing_the_library_loads_no_model_library(module: str) -> None:
    assert loaded_by(f"import {module}") & {*HEAVY, "qdrant_client", "fastapi"} == set()


def test_a_fingerprint_loads_no_model_library() -> None:
    loaded = loaded_by("from rag.encoders import LocalEncoder; assert LocalEncoder('minilm').fingerprint['sha256']")
    assert loaded & HEAVY == set()
