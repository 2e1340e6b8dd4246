"""What vLLM's log says: how far the start has come, and why it failed."""

from __future__ import annotations

import re
from pathlib import Path

from rag.errors import EngineError

FIRST_PHASE = "starting Python"
# In the order in which vLLM passes them; the words are those of its log lines (0.30 to 0.32).
PHASES: tuple[tuple[str, str], ...] = (
    ("non-default args", "reading the configuration"),
    ("Resolved architecture", "starting the engine's processes"),
    ("Starting to load model", "loading weights"),
    ("Loading weights took", "warming up"),
    ("init engine (", "starting HTTP server"),
    ("Starting vLLM server", "starting HTTP server"),
)

_TAIL_BYTES = 256 * 1024
_CAUSE_CHARACTERS = 240
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX = re.compile(r"^(\([\w-]+ pid=\d+\) ?)?((DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:]+ \[[^\]]+\] ?)?")
_OPENS_FRAMES = re.compile(r"^Traceback \(|\.py:\d+: \w*Warning:")
_NOISE = re.compile(
    r"^Loading safetensors|^Route: |it/s\]|[▀▄█]|^The above exception was the direct|^During handling of the above"
)
_CAUSE = re.compile(r"^([A-Za-z_][\w.]*\.)?[A-Z]\w*(Error|Exception)\b: *\S")


def rotate(log: Path) -> None:
    """Make room for a new `log`: its folder exists after this, and an earlier log is kept as `.1`.

    Raises EngineError when the folder cannot be written.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_name(f"{log.name}.1"))
    except OSError as error:
        raise EngineError(f"cannot write logs to {log.parent}: {error}; check LIBRARIAN_DATA_DIR") from None


class PhaseReader:
    """Follows a growing log and tells the furthest phase that it has shown."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._rest = b""
        self._reached = -1

    def phase(self) -> str:
        """The phase by now, for people; reads only what is new."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            for number, (words, _phase) in enumerate(PHASES):
                if number > self._reached and words in text:
                    self._reached = number
        return PHASES[self._reached][1] if self._reached >= 0 else FIRST_PHASE


def last_lines(log: Path, count: int = 15) -> list[str]:
    """The last `count` lines that tell something: no tracebacks' frames, progress bars, banner, warnings, repeats.

    Empty where there is no log.
    """
    lines = _meaningful(log)
    return lines[-count:]


def root_cause(log: Path) -> str | None:
    """The first exception named in the log, with its first line of detail; None where there is none.

    vLLM's last exception mostly says only that there was an earlier one.
    """
    lines = _meaningful(log)
    for number, line in enumerate(lines):
        if _CAUSE.match(line):
            detail = lines[number + 1] if lines[number + 1 : number + 2] and lines[number + 1][0].isspace() else ""
            return " ".join([line, detail.strip()]).strip()[:_CAUSE_CHARACTERS]
    return None


def _meaningful(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    kept: list[str] = []
    # Indented lines are frames after "Traceback", but the message's own after the exception. vLLM's processes write
    # into each other's tracebacks, so this is kept for each of them.
    in_frames: dict[str, bool] = {}
    for raw in re.split(r"[\r\n]+", _ANSI.sub("", text)):
        prefix = _PREFIX.match(raw)
        process = (prefix and prefix[1]) or ""
        line = raw[prefix.end() if prefix else 0 :].rstrip()
        if _OPENS_FRAMES.search(line):
            in_frames[process] = True
        elif line and not (in_frames.get(process) and line[0].isspace()):
            in_frames[process] = False
            if not _NOISE.search(line) and (not kept or kept[-1] != line):
                kept.append(line)
    return kept
