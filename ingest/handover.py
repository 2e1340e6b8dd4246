"""A command's work, done by the process that holds the embedded index: handed over through its API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx2

from ingest.report import Drift, Failure, PlanReport, Progress, Report
from rag.collections import fingerprint
from rag.encoders import dense_encoder, sparse_encoder
from rag.errors import BadInput, Cancelled, IndexLocked, LibrarianError, TooManyFailures
from rag.feeding import HOLDER_HEADER, JOB_SETTINGS, MAX_HANDED_BYTES, MAX_HANDED_SOURCES
from rag.index.folder import Holder

if TYPE_CHECKING:
    from ingest.commanding import Asked

# The first look comes soon, for work that is soon done.
FIRST_POLL_SECONDS = 0.1
POLL_SECONDS = 1.0
# A server that encodes with all cores may be slow to answer; one that is gone refuses at once.
ANSWER_SECONDS = 30.0
PATIENCE_SECONDS = 60.0

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class HandedOver(LibrarianError):
    """The process that took the work over refused it, failed at it or died. It exits as it would have done here."""

    code = "handed_over"


def hand_over(what: Asked, held: Holder, on_progress: Callable[[Progress], None] = lambda _: None) -> Report:
    """Have `held` do an ingest. Ctrl-C asks it to stop.

    Raises HandedOver, TooManyFailures, Cancelled, and IndexLocked where it does not answer.
    """
    found = _work("run", what, held, on_progress)
    return Report(**{**found, "failed": _failures(found)})


def hand_over_plan(what: Asked, held: Holder) -> PlanReport:
    """Have `held` say what it would do. Raises as `hand_over` does."""
    found = _work("plan", what, held)
    return PlanReport(**{**found, "failed": _failures(found)})


def hand_over_check(what: Asked, held: Holder) -> Drift:
    """Have `held` compare index and sources. Raises as `hand_over` does."""
    found = _work("check", what, held)
    return Drift(**{**found, "failed": _failures(found)})


def _work(
    action: Literal["run", "plan", "check"],
    what: Asked,
    held: Holder,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    settings = what.settings
    body = {
        "kind": "ingest",
        "action": action,
        "sources": [absolute(each) for each in what.sources],
        "collection": settings.collection,
        "tenant": settings.tenant,
        "fingerprint": fingerprint(dense_encoder(settings), sparse_encoder(settings)),
        "options": asdict(what.options),
        "settings": settings.model_dump(mode="json", include=set(JOB_SETTINGS)),
        "include": list(what.include),
        "exclude": list(what.exclude),
        "only": None if what.only is None else sorted(what.only),
    }
    check_size(body)
    with _Server(held) as server:
        job = server.call("POST", "/v1/jobs", body)
        with _cancelled_by_ctrl_c(server, job["id"]):
            wait = FIRST_POLL_SECONDS
            while job["state"] in {"queued", "running"}:
                if job["progress"]:
                    on_progress(Progress(**job["progress"]))
                time.sleep(wait)
                wait = min(POLL_SECONDS, wait * 1.5)
                job = server.poll(f"/v1/jobs/{job['id']}")
    if job["progress"]:
        on_progress(Progress(**job["progress"]))
    if job["state"] != "done":
        raise _error(job)
    report: dict[str, Any] = job["report"]
    return report


def absolute(source: str) -> str:
    """A source as another process, in another folder, finds it."""
    return source if _SCHEME.match(source) else str(Path(source).expanduser().absolute())


def check_size(body: Mapping[str, Any]) -> None:
    """Raises BadInput for more than a server takes over."""
    size = len(json.dumps(body))
    if len(body["sources"]) > MAX_HANDED_SOURCES or size > MAX_HANDED_BYTES:
        raise BadInput(
            f"{len(body['sources'])} sources and {size} bytes of what to do are more than a running server takes over "
            f"({MAX_HANDED_SOURCES} and {MAX_HANDED_BYTES}): name a folder with --include instead of its files, or "
            "ingest the whole source again instead of --retry."
        )


class _Server:
    """The API of the process that holds the index, called as the user it belongs to."""

    def __init__(self, held: Holder) -> None:
        self._held = held
        url = held.url or ""
        self._http = httpx2.Client(
            base_url=url,
            headers={HOLDER_HEADER: held.token},
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=5),
            trust_env=False,
        )

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise IndexLocked(
                f"the index is in use by {self._held}, which does not answer ({type(error).__name__}): stop it, or "
                "wait until it serves, and run this again."
            ) from None
        try:
            answer: dict[str, Any] = response.json()
        except ValueError:
            answer = {}
        if response.is_success and answer:
            return answer
        said = answer.get("error", {})
        refused = HandedOver(f"{self._held} refused the work: {said.get('message', f'status {response.status_code}')}")
        refused.exit_code = _EXIT_CODES.get(str(said.get("code")), refused.exit_code)
        raise refused

    def poll(self, path: str) -> dict[str, Any]:
        """The same, with patience for a server that is busy; one that is gone is told."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.call("GET", path)
            except IndexLocked:
                if time.monotonic() > until or not self._listens():
                    raise HandedOver(
                        f"{self._held} died or was stopped while it did this work; what was written stays: run "
                        "this again."
                    ) from None
                time.sleep(POLL_SECONDS)

    def _listens(self) -> bool:
        try:
            self._http.get("/healthz")
        except httpx2.ConnectError:
            return False
        except httpx2.HTTPError:
            return True
        return True


@contextmanager
def _cancelled_by_ctrl_c(server: _Server, identity: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        with suppress(LibrarianError):
            server.call("DELETE", f"/v1/jobs/{identity}")
        raise


def _error(job: Mapping[str, Any]) -> LibrarianError:
    said = job["error"] or {"code": "error", "message": "it failed without saying why."}
    if said["code"] == TooManyFailures.code:
        return TooManyFailures(said["message"], _failures(job["report"] or {}))
    if job["state"] == "cancelled":
        return Cancelled(said["message"])
    error = HandedOver(said["message"])
    error.exit_code = _EXIT_CODES.get(said["code"], error.exit_code)
    return error


def _failures(report: Mapping[str, Any]) -> list[Failure]:
    return [Failure(**each) for each in report.get("failed", ())]


def _exit_codes(base: type[LibrarianError]) -> dict[str, int]:
    found = {base.code: base.exit_code}
    for each in base.__subclasses__():
        found.update(_exit_codes(each))
    return found


_EXIT_CODES = _exit_codes(LibrarianError)
