"""Does memory stay flat? Peak memory of a whole ingest process over 10,000 and over 100,000 documents.

    python benchmarks/ingest_memory.py [--small 10000] [--large 100000] [--keep FOLDER] [--again]

Each size is one process that does what `librarian ingest FOLDER` does, into a new embedded index. The documents are
made of real paragraphs (three each, drawn by a seed, about 1 KB). When the first chunks are to be encoded, the default
encoder is really loaded and really encodes 128 texts of full length, so its weights and its working memory are there;
after that instant vectors of the same size take its place, or the large run would take an hour. That changes times,
not what is held.

"Peak" is the kernel's VmHWM of the process over its life. "Anonymous" is the highest sampled RssAnon (what only this
process can have allocated), "mapped" the highest sampled RssFile (libraries, and the engine's own files, which the
kernel may take back at any moment). What the rest of the table says:

    base              anonymous memory once the encoder was used (if it is): interpreter, libraries, model, its work
    engine, kept      what closing the index gives back of anonymous memory
    ledger            bytes of the job's scratch database on the disk (a run over what is there fills it)
    reader            the highest RSS of a worker process

The last row is the target's: the peak of the large run over that of the small one. `--again` shows besides what a
second run with nothing changed takes; it loads no encoder.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ingest_corpus import paragraphs, write_documents
from ingest_measuring import say
from ingest_planning import InstantEncoder

from ingest.job import IngestJob
from ingest.sources import open_source
from rag.encoders import Vectors, dense_encoder, sparse_encoder
from rag.index.embedded import EmbeddedIndex
from rag.settings import Settings

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "kubernetes"
ALLOWED = 1.3

_SAMPLE_S = 0.05
_PARAGRAPHS = 3
_MB = 1e6
_WARM_TEXTS = 128


@dataclass(slots=True)
class Memory:
    """Bytes, but for the counts."""

    documents: int = 0
    chunks: int = 0
    seconds: float = 0
    peak: int = 0
    anonymous: int = 0
    mapped: int = 0
    before: int = 0
    engine: int = 0
    ledger: int = 0
    reader: int = 0


class _Watch:
    """Samples this process and its children until stopped."""

    def __init__(self) -> None:
        self.anonymous = self.mapped = self.reader = self.ledger = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        rounds = 0
        while not self._stop.wait(_SAMPLE_S):
            now = _status("self")
            self.anonymous = max(self.anonymous, now["RssAnon"])
            self.mapped = max(self.mapped, now["RssFile"])
            rounds += 1
            if rounds % 20 == 0:
                self.reader = max([self.reader, *(_status(child).get("VmHWM", 0) for child in _children())])
                self.ledger = max(self.ledger, _ledger_bytes())


class _Instant(InstantEncoder):
    """Loads the default encoder at the first texts and uses it once; instant vectors after that."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._real = dense_encoder(settings)
        self.base = 0  # anonymous bytes once it was

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        if not self.base:
            self._real.encode_documents(["word " * self.max_tokens] * _WARM_TEXTS)
            self.base = _status("self")["RssAnon"]
        return super().encode_documents(texts)


def main() -> int:
    """Measure both sizes; 1 where the target is missed, 2 where the data is missing."""
    arguments = _arguments()
    if arguments.child:
        print(json.dumps(asdict(_measure(*arguments.child))))
        return 0
    if not (arguments.data / "pages").is_dir():
        print(f"SKIPPED: the Kubernetes pages are not in {arguments.data}; name their folder with --data.")
        return 2
    with tempfile.TemporaryDirectory(prefix="librarian-memory-") as name:
        folder = arguments.keep or Path(name)
        source = paragraphs(arguments.data / "pages")
        rows: dict[str, list[Memory]] = {}
        for count in (arguments.small, arguments.large):
            files = folder / f"files-{count}"
            if not files.exists():
                say(f"writing {count:,} documents")
                write_documents(files, count, source, _PARAGRAPHS)
            for run in ("new", "again") if arguments.again else ("new",):
                say(f"{count:,} documents, {run}")
                rows.setdefault(run, []).append(_in_a_process(files, folder / f"data-{count}"))
    print(_table(rows))
    small, large = rows["new"]
    return 0 if large.peak <= ALLOWED * small.peak else 1


def _in_a_process(files: Path, data: Path) -> Memory:
    command = [sys.executable, __file__, "--child", str(files), str(data)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def _measure(files: str, data: str) -> Memory:
    """One whole job, in this process."""
    settings = Settings(data_dir=Path(data))
    dense = _Instant(settings)
    with closing(open_source(files, settings)) as source:
        index = EmbeddedIndex(settings.index_dir)
        found = Memory(before=_status("self")["RssAnon"])
        watch = _Watch()
        report = IngestJob(index, dense, sparse_encoder(settings), settings).run(source)
        watch.stop()
        held = _trimmed()
        index.close()
        found.engine = held - _trimmed()
    found.before = dense.base or found.before
    found.documents, found.chunks, found.seconds = report.added + report.kept, report.chunks, report.seconds
    found.anonymous, found.mapped = watch.anonymous, watch.mapped
    found.reader, found.ledger = watch.reader, watch.ledger
    found.peak = _status("self")["VmHWM"]
    return found


def _trimmed() -> int:
    """Anonymous bytes once the allocator has given back what is free."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return _status("self")["RssAnon"]


def _status(process: str) -> dict[str, int]:
    """The sizes of /proc/PROCESS/status, in bytes; empty where it is gone."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
        return {name: int(value.split()[0]) * 1024 for name, value in pairs}
    return {}


def _children() -> Sequence[str]:
    with suppress(OSError):
        return [each for task in Path("/proc/self/task").iterdir() for each in (task / "children").read_text().split()]
    return []


def _ledger_bytes() -> int:
    """The size of SQLite's nameless files that this process has open."""
    sizes = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if "etilqs_" in str(descriptor.readlink()):
                sizes += descriptor.stat().st_size
    return sizes


def _table(rows: dict[str, list[Memory]]) -> str:
    lines = [
        "| run | documents | chunks | s | peak | anonymous | mapped | base | engine, kept | ledger | reader |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for run, pair in rows.items():
        lines += [
            f"| {run} | {each.documents:,} | {each.chunks:,} | {each.seconds:.0f} | {_sizes(each)} |" for each in pair
        ]
        small, large = pair
        ratio = large.peak / small.peak
        anonymous = large.anonymous / max(small.anonymous, 1)
        verdict = "" if run != "new" else " reached" if ratio <= ALLOWED else " MISSED"
        lines.append(f"| {run} | large / small | | | ×{ratio:.2f}{verdict} | ×{anonymous:.2f} | | | | | |")
    return "\n".join([*lines, "", f"MB (10⁶ bytes). Asked for: a peak of at most ×{ALLOWED:g}."])


def _sizes(memory: Memory) -> str:
    names = ("peak", "anonymous", "mapped", "before", "engine", "ledger", "reader")
    return " | ".join(f"{getattr(memory, name) / _MB:,.0f}" for name in names)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the memory of an ingest.")
    parser.add_argument("--small", type=int, default=10_000, help="documents (default: 10000)")
    parser.add_argument("--large", type=int, default=100_000, help="documents (default: 100000)")
    parser.add_argument("--again", action="store_true", help="also run each job a second time, with nothing changed")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work here and leave it (default: a temporary one)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with pages/")
    parser.add_argument("--child", nargs=2, metavar=("FILES", "DATA"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
