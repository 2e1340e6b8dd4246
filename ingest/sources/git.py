"""A git repository of the web: its files at one commit, read out of a shallow copy that is never checked out.

Nothing of the repository is run or written as files: no hooks, no filters, no sub-modules, no links. Git is given the
address that the guard has passed, follows no redirect, asks nobody for a password and reads no configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import httpx2

from ingest.sources.filters import Filter
from ingest.sources.folders import nothing
from ingest.sources.guard import Guard, host_of, parse_url, port_of, shown_url
from ingest.sources.ignoring import IGNORE_FILE, Rules, ignored
from ingest.sources.interface import Found, Item, Skipped
from ingest.sources.local import is_hidden, is_read, kind_of
from ingest.sources.patterns import parse
from ingest.sources.reading import too_large
from ingest.sources.uris import quoted, shown
from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

MAX_BYTES = 4 * 1024**3  # of a repository's copy
_PINS_ADDRESSES = (2, 37)  # the first with http.curloptResolve
_TIMES = 10  # a repository may take this many times as long as one document
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,200}\Z")
_MAX_IGNORE = 1024 * 1024
_FILES = frozenset({"100644", "100755"})


class GitSource:
    """`git+https://host/repo.git[@ref][#folder]`. URIs name the repository and the path, not the commit."""

    def __init__(self, text: str, settings: Settings, chosen: Filter) -> None:
        """Raises SourceError where the URL is none or may not be read, or there is no git."""
        place, _, folder = text.partition("#")
        before, at, ref = place.rpartition("@")
        if not at or "/" not in before.partition("://")[2]:
            before, ref = place, ""
        self._url = parse_url(before.removeprefix("git+").rstrip("/"))
        self._guard = Guard(settings)
        self._guard.check(self._url)
        if ref and (not _REF.match(ref) or ".." in ref):
            raise SourceError(f"'{ref[:200]}' is no branch, tag or commit.")
        git = shutil.which("git")
        if git is None:
            raise SourceError("reading a git repository needs the command 'git': install it.")
        _check_version(git)
        self._git = git
        self._ref = ref or "HEAD"
        self._folder = os.fsdecode(unquote_to_bytes(folder)).strip("/")
        self._base = f"git+{self._url}#"
        self._text = f"git+{shown_url(self._url)}{f'@{ref}' if ref else ''}{f'#{folder}' if folder else ''}"
        self._filter = chosen
        self._seconds = settings.url_timeout * _TIMES
        self._home: Path | None = None
        self._blobs: subprocess.Popen[bytes] | None = None

    @property
    def shown(self) -> str:
        """As it was written."""
        return shown(self._text)

    def owns(self, uri: str) -> bool:
        """What lies in the repository's folder and would be listed."""
        if not uri.startswith(self._base):
            return False
        path = os.fsdecode(unquote_to_bytes(uri[len(self._base) :]))
        parts = self._below(path)
        return bool(parts) and not is_hidden(parts) and (self._filter.empty or self._filter.admits(parts))

    def items(self) -> Iterator[Found]:
        """See Source. Raises SourceError where the repository cannot be fetched, or nothing in it can be read."""
        home = self._fetched()
        rules = self._rules(home)
        count = skipped = 0
        for mode, blob, size, path in self._tree(home):
            parts = self._below(path)
            name = parts[-1] if parts else ""
            if mode not in _FILES or not parts or is_hidden(parts) or _ignored(rules, path.split("/")):
                continue
            if not self._filter.empty and not self._filter.admits(parts):
                continue
            where = shown("/".join(parts))
            if is_read(name):
                count += 1
                yield Item(self._base + quoted(path), where, shown(name), size, f"blob:{blob}")
            else:
                skipped += 1
                yield Skipped(where, kind_of(name))
        if not count:
            raise nothing(self._text, skipped)

    def read(self, item: Item, limit: int) -> bytes:
        """See Source."""
        if item.size is not None and item.size > limit:
            raise too_large(item.size, limit)
        blob = item.stamp.removeprefix("blob:")
        if not re.fullmatch("[0-9a-f]{40,64}", blob) or self._home is None:
            raise SourceError("it was not listed by this source.")
        return self._blob(self._home, blob, limit)

    def close(self) -> None:
        """Stop git and remove the copy."""
        if self._blobs:
            _kill(self._blobs)
            self._blobs.communicate()
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)
        self._blobs = self._home = None

    def _below(self, path: str) -> list[str]:
        """A path's parts below the folder that is the source; the folder may also be one file."""
        if not self._folder:
            return path.split("/")
        if path == self._folder:
            return path.split("/")[-1:]
        return path[len(self._folder) + 1 :].split("/") if path.startswith(f"{self._folder}/") else []

    def _fetched(self) -> Path:
        """The repository's copy, fetched when it is first asked for."""
        if self._home:
            return self._home
        self._home = Path(tempfile.mkdtemp(prefix="librarian-git-"))
        self._run(self._home, ["init", "--quiet", "--bare", "--template="])
        self._run(
            self._home,
            ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", str(self._url), self._ref],
        )
        return self._home

    def _rules(self, home: Path) -> dict[tuple[str, ...], Rules]:
        """Librarian's ignore files in the repository, by folder; git's own say nothing of what git holds."""
        rules = {}
        for mode, blob, size, path in self._tree(home):
            if mode in _FILES and path.rpartition("/")[2] == IGNORE_FILE and (size or 0) <= _MAX_IGNORE:
                lines = self._blob(home, blob, _MAX_IGNORE).decode("utf-8-sig", "surrogateescape").split("\n")
                folder = tuple(path.split("/")[:-1])
                rules[folder] = Rules(len(folder), tuple(each for each in map(parse, lines) if each))
        return rules

    def _tree(self, home: Path) -> Iterator[tuple[str, str, int | None, str]]:
        """(mode, blob, bytes, path) of every entry, in the order of paths."""
        with self._started(home, ["ls-tree", "-r", "-z", "--long", "FETCH_HEAD"]) as process:
            assert process.stdout is not None  # noqa: S101 — it was asked for
            rest = b""
            while piece := process.stdout.read(64 * 1024):
                *entries, rest = (rest + piece).split(b"\0")
                for entry in entries:
                    head, _, path = entry.partition(b"\t")
                    mode, _, blob, size = head.decode("ascii").split()
                    yield mode, blob, int(size) if size.isdigit() else None, os.fsdecode(path)
        if process.returncode:
            raise SourceError(f"'{self.shown}' cannot be listed: git ends with status {process.returncode}.")

    def _blob(self, home: Path, blob: str, limit: int) -> bytes:
        if self._blobs is None:
            self._blobs = self._started(home, ["cat-file", "--batch"], stdin=subprocess.PIPE)
        asked, answer = self._blobs.stdin, self._blobs.stdout
        assert asked is not None  # noqa: S101 — both were asked for
        assert answer is not None  # noqa: S101
        try:
            asked.write(f"{blob}\n".encode())
            asked.flush()
            head = answer.readline().split()
            if len(head) != 3 or head[1] != b"blob":
                raise SourceError("it cannot be read: git does not have it.")
            size = int(head[2])
            data = answer.read(min(size, limit))
            left = size - len(data) + 1  # and a line break
            while left > 0 and (skipped := answer.read(min(left, 1 << 20))):
                left -= len(skipped)
        except OSError as error:
            raise SourceError(f"it cannot be read: {error.strerror or error}.") from None
        if size > limit:
            raise too_large(size, limit)
        return data

    def _run(self, home: Path, words: Sequence[str]) -> None:
        end = time.monotonic() + self._seconds
        with tempfile.TemporaryFile() as said, self._started(home, words, stderr=said.fileno()) as process:
            try:
                while process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(0.2)
                        break
                    if time.monotonic() > end:
                        raise SourceError(
                            f"'{self.shown}' was not fetched within {self._seconds:g} seconds, {_TIMES} times "
                            "LIBRARIAN_URL_TIMEOUT."
                        )
                    if _bytes_below(home) > MAX_BYTES:
                        raise SourceError(f"'{self.shown}' is larger than the {MAX_BYTES} bytes that are fetched.")
            except BaseException:
                _kill(process)
                raise
            if process.returncode:
                said.seek(0)
                lines = said.read(4096).decode("utf-8", "replace").splitlines() or ["git fails"]
                words_of = next((each for each in lines if each.startswith("fatal:")), lines[-1])
                reason = shown(words_of.removeprefix("fatal:").strip().rstrip("."))
                raise SourceError(f"'{self.shown}' cannot be fetched: {reason}.")

    def _started(
        self, home: Path, words: Sequence[str], stdin: int = subprocess.DEVNULL, stderr: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        options = {
            "core.hooksPath": os.devnull,
            "core.fsmonitor": "false",
            "credential.helper": "",
            "gc.auto": "0",
            "http.followRedirects": "false",
            "http.proxy": "",
        }
        if words[0] == "fetch":
            options["http.curloptResolve"] = self._resolved()
        given = [each for name, value in options.items() for each in ("-c", f"{name}={value}")]
        return subprocess.Popen(  # noqa: S603 — no shell; the URL and the ref are checked
            [self._git, *given, *words],
            cwd=home,
            env=_environment(home, self._url),
            stdin=stdin,
            stdout=subprocess.PIPE if words[0] in {"ls-tree", "cat-file"} else subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )

    def _resolved(self) -> str:
        """What curl is told the host's address to be: the ones that were looked up and passed."""
        host, port = host_of(self._url), port_of(self._url)
        addresses = self._guard.addresses(host, port)
        listed = ",".join(f"[{each}]" if ":" in each else each for each in addresses)
        return f"{host}:{port}:{listed}"


def _check_version(git: str) -> None:
    """Raises SourceError for a git that would look the host up again and connect to whatever that says."""
    said = subprocess.run([git, "version"], capture_output=True, text=True, timeout=30, check=False).stdout  # noqa: S603
    found = re.match(r"git version (\d{1,5})\.(\d{1,5})", said)
    if found is None or (int(found[1]), int(found[2])) < _PINS_ADDRESSES:
        raise SourceError(
            f"reading a git repository needs git {'.'.join(map(str, _PINS_ADDRESSES))} or later, here is "
            f"'{shown(said.strip()[:60]) or git}': older ones cannot be held to the address that was checked."
        )


def _environment(home: Path, url: httpx2.URL) -> dict[str, str]:
    """All that git gets to see: nothing of who runs it."""
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_DIR": str(home),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_ALLOW_PROTOCOL": url.scheme,
        "GIT_OPTIONAL_LOCKS": "0",
    }


def _ignored(rules: Mapping[tuple[str, ...], Rules], parts: Sequence[str]) -> bool:
    """Whether the path, or a folder that it lies in, is ignored."""
    for length in range(1, len(parts) + 1 if rules else 0):
        above = [rules[folder] for folder in (tuple(parts[:depth]) for depth in range(length)) if folder in rules]
        if ignored(above, parts[:length], length < len(parts)):
            return True
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a git and the helpers that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total
