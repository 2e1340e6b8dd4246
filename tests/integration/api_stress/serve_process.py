"""`librarian serve` as a process over one chunk, for what only a real signal shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.api_server import PASSAGES


def prepare_index(data_dir: Path) -> None:
    """A collection of one chunk as `librarian ingest` makes it, but with a made-up vector: no model is loaded here."""
    from rag.collections import fingerprint, make
    from rag.encoders import dense_encoder, sparse_encoder
    from rag.index import Record, open_index
    from rag.payload import to_payload
    from rag.schema import Chunk, Document, Scope
    from rag.settings import Settings

    settings = Settings(data_dir=data_dir)
    sparse = sparse_encoder(settings)
    text = PASSAGES[0].text
    document = Document("file:///docs/1.md", "docs/1.md", "Document 1", text, "hash")
    payload = to_payload(document, Chunk(0, text, 0, len(text)), 1)
    record = Record(PASSAGES[0].id, [1.0] * 384, sparse.encode_document(text), payload)
    index = open_index(settings)
    try:
        name = make(index, settings.collection, fingerprint(dense_encoder(settings), sparse), 384)
        index.upsert(name, [record], Scope())
    finally:
        index.close()


def start_serve(data_dir: Path, port: int, llm_url: str, *settings: str) -> subprocess.Popen[str]:
    """The real command as a process; `settings` are NAME=VALUE."""
    flags = ["--port", str(port), "--data-dir", str(data_dir), "--llm-url", llm_url]
    for each in ("min_relevance=0", *settings):
        flags += ["--set", each]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIBRARIAN_")}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve().parents[3] / "librarian.py"), "serve", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data_dir,
        env={**environment, "HF_HUB_OFFLINE": "1"},
    )
