"""What `librarian doctor` finds out. Each check says what it found and, where that is bad, what to do."""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from rag.collections import check_readable, fingerprint
from rag.encoders import dense_encoder, describe, sparse_encoder
from rag.errors import CollectionNotFound, IndexLocked, LibrarianError
from rag.generation import ChatModel
from rag.index import holder, open_index
from rag.settings import Loaded, Settings
from serve.access.tokens import Unreadable, check_token_settings, read_keys
from serve.engine import find_engine_python
from serve.engine.model import served_folder

PACKAGES = (
    "librarian-rag",
    "torch",
    "sentence-transformers",
    "langchain",
    "qdrant-client",
    "qdrant-edge-py",
)
LOW_DISK_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. "note" is worth knowing; "FAIL" keeps questions from being answered."""

    state: Literal["ok", "note", "FAIL"]
    what: str
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


async def diagnose(loaded: Loaded) -> list[Finding]:
    """Every check, in the order in which a question meets the parts."""
    settings = loaded.settings
    findings = [_versions(), _configured(loaded), _disk(settings)]
    for check in (_encoder, _index, *((_tokens,) if settings.jwt_issuer else ())):
        findings.append(await asyncio.to_thread(_guarded, check, settings))
    findings.append(await _model(settings))
    if not settings.llm_url:
        findings.append(_engine(settings))
    return findings


def _guarded(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except LibrarianError as error:
        return Finding("FAIL", check.__name__.strip("_"), str(error))


def _versions() -> Finding:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} (not installed)")
    return Finding("ok", "versions", f"Python {platform.python_version()}, {', '.join(found)}")


def _configured(loaded: Loaded) -> Finding:
    given = ", ".join(f"{name} ({source})" for name, source in sorted(loaded.sources.items()))
    return Finding("ok", "settings", given or "all at their defaults")


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free for {settings.data_dir.absolute()}"
    if free < LOW_DISK_BYTES:
        return Finding("note", "disk", found, "free some space or set LIBRARIAN_DATA_DIR to another disk.")
    return Finding("ok", "disk", found)


def _encoder(settings: Settings) -> Finding:
    encoder = dense_encoder(settings)
    return Finding("ok", "encoder", describe(encoder.fingerprint))


def _index(settings: Settings) -> Finding:
    try:
        index = open_index(settings)
    except IndexLocked:
        return Finding("ok", "index", f"embedded in {settings.index_dir.absolute()}, in use by {holder(settings)}")
    try:
        info = index.describe(settings.collection)
        check_readable(info, fingerprint(dense_encoder(settings), sparse_encoder(settings)))
    except CollectionNotFound:
        return Finding(
            "note",
            "index",
            f"{index.location} is reachable; there is no collection '{settings.collection}' in it yet",
            "librarian ingest FOLDER",
        )
    finally:
        index.close()
    return Finding("ok", "index", f"{index.location}: '{settings.collection}' has {info.points} chunks")


def _tokens(settings: Settings) -> Finding:
    check_token_settings(settings)
    try:
        keys = read_keys(settings)
    except Unreadable as error:
        return Finding("FAIL", "tokens", f"no keys of {settings.jwt_issuer}: {error}", "is the address right, and up?")
    return Finding("ok", "tokens", f"{settings.jwt_issuer} has {len(keys)} public keys")


async def _model(settings: Settings) -> Finding:
    model = ChatModel(settings, served_folder(settings))
    try:
        await model.check()
        facts = await model.facts()
    except LibrarianError as error:
        return Finding("FAIL" if settings.llm_url else "note", "chat model", str(error))
    finally:
        await model.aclose()
    return Finding(
        "ok", "chat model", f"{facts.name} at {model.shown}, {facts.window} tokens, counted by {facts.counter.name}"
    )


def _engine(settings: Settings) -> Finding:
    try:
        return Finding("ok", "local engine", f"vLLM in {find_engine_python(settings)}")
    except LibrarianError as error:
        return Finding("note", "local engine", str(error))
