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

_HELD = "uri, hash, chunks, stamp, sound, number"
_BATCH = 500  # SQLite takes at least 999 parameters in one statement

# Rows come in the order of the points' ids, which is none of the URIs': they are gathered in `found` and taken over
# sorted, or each insert would touch another page of `held`.
_TABLES = """
CREATE TABLE found (uri TEXT, hash TEXT, chunks INTEGER, stamp TEXT, sound INTEGER);
CREATE TABLE held (uri TEXT PRIMARY KEY, hash TEXT, chunks INTEGER, stamp TEXT, sound INTEGER, number INTEGER)
  WITHOUT ROWID;
CREATE TABLE points (uri TEXT, hash TEXT, ordinal INTEGER, PRIMARY KEY (uri, hash, ordinal)) WITHOUT ROWID;
"""


class Held(NamedTuple):
    """One document in the index. `sound`: there is one version of it, every chunk of that once, and nothing else.

    `number` is its own in one ledger. A tuple, since one is made for each of hundreds of thousands of documents: a
    frozen dataclass takes four times as long.
    """

    uri: str
    hash: str
    chunks: int
    stamp: str
    sound: bool
    number: int


class Ledger:
    """The documents of one tenant in one collection. One thread at a time may use it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False)  # an unlinked file under TMPDIR
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;" + _TABLES)
        self._seen = bytearray()  # by a document's number: an UPDATE of each row would take longer than its look-up

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
        """Those of the documents that the index holds; the source has them, so they are not `unseen` any more."""
        found: dict[str, Held] = {}
        seen = self._seen
        for start in range(0, len(uris), _BATCH):
            some = uris[start : start + _BATCH]
            rows = self._db.execute(
                f"SELECT {_HELD} FROM held WHERE uri IN ({_marks(some)})",  # noqa: S608
                some,
            )
            for held in map(Held._make, rows):
                found[held.uri] = held
                seen[held.number] = True
        return found

    def unseen(self) -> Iterator[Held]:
        """The documents that were never looked up."""
        if False not in self._seen:
            return
        for held in map(Held._make, self._db.execute(f"SELECT {_HELD} FROM held ORDER BY uri")):  # noqa: S608
            if not self._seen[held.number]:
                yield held

    def close(self) -> None:
        """Throw it away. Calling it twice is no error."""
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_heads(self, heads: Iterable[Stored]) -> None:
        count = self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", _rows(heads)).rowcount
        # A second head of a document is left over from a replacement that was cut short.
        self._db.executescript(
            f"""
            INSERT INTO held SELECT uri, hash, chunks, stamp, sound, {len(self._seen)} + rowid - 1 FROM found
              WHERE true ORDER BY uri
              ON CONFLICT (uri) DO UPDATE SET sound = 0, chunks = chunks + excluded.chunks;
            DELETE FROM found;
            """  # noqa: S608 — a number
        )
        self._seen.extend(bytes(max(0, count)))

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
        headless = self._db.execute(
            """
            INSERT INTO held SELECT uri, '', 0, '', 0, ? + row_number() OVER () - 1
              FROM (SELECT DISTINCT uri FROM points WHERE uri NOT IN (SELECT uri FROM held))
            """,
            (len(self._seen),),
        ).rowcount
        self._seen.extend(bytes(headless))
        self._db.executescript(
            """
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
