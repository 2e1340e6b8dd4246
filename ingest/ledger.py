"""What the index holds of a tenant's documents, as Qdrant says it now: a scratch copy that lives as long as one job.

It lies in a temporary SQLite file rather than in memory, so that a million documents cost no more memory than ten. The
file has no name, so nothing of a killed job is left behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rag.index.interface import Index, Stored
from rag.payload import HEAD_FIELDS, HEADS, LEDGER_FIELDS, WHOLE
from rag.schema import Scope

_BATCH = 500  # SQLite takes at least 999 parameters in one statement

# Rows come in the order of the points' ids, which is none of the URIs': they are gathered in `found` and taken over
# sorted, or each insert would touch another page of `held`.
_TABLES = """
CREATE TABLE found (uri TEXT, hash TEXT, chunks INTEGER, stamp TEXT, sound INTEGER);
CREATE TABLE held (uri TEXT PRIMARY KEY, hash TEXT, chunks INTEGER, stamp TEXT, sound INTEGER, seen INTEGER DEFAULT 0)
  WITHOUT ROWID;
CREATE TABLE points (uri TEXT, hash TEXT, ordinal INTEGER, PRIMARY KEY (uri, hash, ordinal)) WITHOUT ROWID;
"""


class Held(NamedTuple):
    """One document in the index. `sound`: there is one version of it, every chunk of that once, and nothing else.

    A tuple, since one is made for each of hundreds of thousands of documents: a frozen dataclass takes four times as
    long.
    """

    uri: str
    hash: str
    chunks: int
    stamp: str
    sound: bool


class Ledger:
    """The documents of one tenant in one collection. One thread at a time may use it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False)  # an unlinked file under TMPDIR
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;" + _TABLES)

    def read(
        self, index: Index, collection: str, scope: Scope, thorough: bool = False, only: Sequence[str] | None = None
    ) -> None:
        """Take over what the index holds; with `only`, of these documents.

        A head tells of its whole document, so the heads alone are read, and the number of points is compared with the
        number that they promise. Where the two differ, or with `thorough`, every point is looked at.
        """
        if only is not None:
            for start in range(0, len(only), _BATCH):
                where = {**HEADS, "doc": only[start : start + _BATCH]}
                self._add_heads(index.scroll(collection, scope, HEAD_FIELDS, where))
            return
        self._add_heads(index.scroll(collection, scope, HEAD_FIELDS, HEADS))
        promised = self._db.execute("SELECT coalesce(sum(chunks), 0) FROM held").fetchone()[0]
        if thorough or promised != index.count(collection, scope):
            self._look_at_all(index.scroll(collection, scope, LEDGER_FIELDS))

    def look_up(self, uris: Sequence[str]) -> dict[str, Held]:
        """Those of the documents that the index holds."""
        found: dict[str, Held] = {}
        for start in range(0, len(uris), _BATCH):
            some = uris[start : start + _BATCH]
            rows = self._db.execute(
                f"SELECT uri, hash, chunks, stamp, sound FROM held WHERE uri IN ({_marks(some)})",  # noqa: S608
                some,
            )
            found.update({row[0]: Held(*row) for row in rows})
        return found

    def mark_seen(self, uris: Sequence[str]) -> None:
        """Note that the source has these documents."""
        for start in range(0, len(uris), _BATCH):
            some = uris[start : start + _BATCH]
            self._db.execute(f"UPDATE held SET seen = 1 WHERE uri IN ({_marks(some)})", some)  # noqa: S608

    def unseen(self) -> Iterator[Held]:
        """The documents that were never marked as seen."""
        rows = self._db.execute("SELECT uri, hash, chunks, stamp, sound FROM held WHERE seen = 0 ORDER BY uri")
        for row in rows:
            yield Held(*row)

    def close(self) -> None:
        """Throw it away. Calling it twice is no error."""
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_heads(self, heads: Iterable[Stored]) -> None:
        self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", _rows(heads))
        # A second head of a document is left over from a replacement that was cut short.
        self._db.executescript(
            """
            INSERT INTO held SELECT uri, hash, chunks, stamp, sound, 0 FROM found WHERE true ORDER BY uri
              ON CONFLICT (uri) DO UPDATE SET sound = 0, chunks = chunks + excluded.chunks;
            DELETE FROM found;
            """
        )

    def _look_at_all(self, points: Iterable[Stored]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO points VALUES (?, ?, ?)",
            (
                (payload["doc"], payload["doc_hash"], payload["ordinal"])
                for payload in (each.payload for each in points)
                if "doc" in payload
            ),
        )
        # Not sound: points without a head, of another version than the head's, or too few of them.
        self._db.executescript(
            """
            INSERT OR IGNORE INTO held (uri, hash, chunks, stamp, sound) SELECT DISTINCT uri, '', 0, '', 0 FROM points;
            UPDATE held SET sound = 0 WHERE EXISTS
              (SELECT 1 FROM points WHERE points.uri = held.uri AND points.hash != held.hash);
            UPDATE held SET sound = 0 WHERE chunks !=
              (SELECT count(*) FROM points WHERE points.uri = held.uri AND points.hash = held.hash
               AND points.ordinal < held.chunks);
            DELETE FROM points;
            """
        )


def _rows(heads: Iterable[Stored]) -> Iterator[tuple[Any, ...]]:
    for head in heads:
        payload: Mapping[str, Any] = head.payload
        if "doc" in payload:
            whole = payload.get("state") == WHOLE
            yield payload["doc"], payload["doc_hash"], payload["chunks"], payload.get("stamp") or "", whole


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))
