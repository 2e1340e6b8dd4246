"""`librarian ingest` while another process holds the embedded index: that process does the work.

The server and most commands are processes of their own, with the packaged encoder.
"""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ingest.commanding import Asked
from ingest.handover import HandedOver, absolute, hand_over, hand_over_check, hand_over_plan
from ingest.options import Options
from ingest.report import Progress
from rag.errors import IndexLocked
from rag.feeding import HOLDER_HEADER
from rag.index import holder
from rag.index.folder import Holder
from rag.settings import Settings
from tests.fake_model import FakeModel, wait_until
from tests.integration.serving import COMMAND, Serving, environment

KEY = "a-key-that-nobody-guesses"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with a key, which commands of the same user do not need for this."""
    with FakeModel() as model, Serving(tmp_path_factory.mktemp("data"), model.url, LIBRARIAN_API_KEY=KEY) as running:
        yield running


@pytest.fixture
def settings(server: Serving) -> Settings:
    return Settings(data_dir=server.data_dir)


@pytest.fixture
def held(settings: Settings) -> Holder:
    found = holder(settings)
    assert found
    assert found.url
    return found


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.md").write_text(f"# Document {number}\n\nPods run containers.")
    return folder


def what(settings: Settings, source: Path, exclude: tuple[str, ...] = (), **values: Any) -> Asked:
    """An ingest of one folder."""
    only = values.pop("only", None)
    return Asked(settings, (str(source),), (), exclude, Options(**values), only, settings.data_dir / "failures.jsonl")


def ingest(server: Serving, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "ingest", *arguments],
        cwd=folder,
        env=environment(server.data_dir, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def handed(server: Serving, body: dict[str, Any], token: str | None) -> httpx2.Response:
    headers = {HOLDER_HEADER: token} if token is not None else {}
    return httpx2.post(f"{server.url}/v1/jobs", json=body, headers=headers, trust_env=False, timeout=30)


def test_the_command_prints_the_report_of_the_server(server: Serving, docs: Path) -> None:
    first = ingest(server, docs.parent, "docs", "--collection", "printed")  # a path that only its own folder knows
    assert first.returncode == 0, first.stderr
    assert "3 added" in first.stdout
    (docs / "1.md").write_text("# Changed")
    (docs / "2.md").unlink()
    second = ingest(server, docs.parent, "docs", "--collection", "printed", "--json")
    report = json.loads(second.stdout)
    assert (report["kept"], report["replaced"], report["deleted"]) == (1, 1, 1)
    listed = server.http.get("/v1/documents", params={"collection": "printed"}).json()["data"]
    assert [each["uri"] for each in listed] == [(docs / f"{number}.md").as_uri() for number in range(2)]


def test_documents_that_fail_are_named_and_can_be_tried_again(server: Serving, docs: Path) -> None:
    (docs / "bad.pdf").write_bytes(b"%PDF-1.7 broken")
    failed = ingest(server, docs.parent, "docs", "--collection", "failing", "--max-failures", "5")
    assert failed.returncode == 3
    assert "bad.pdf" in failed.stderr + failed.stdout
    (docs / "bad.pdf").write_text("not a PDF either")
    again = ingest(
        server, docs.parent, "--retry", str(server.data_dir / "failures" / "failing.jsonl"), "--collection", "failing"
    )
    assert again.returncode == 3, again.stderr


def test_progress_plan_and_check_come_back(settings: Settings, held: Holder, docs: Path) -> None:
    here = settings.model_copy(update={"collection": "plans"})
    plan = hand_over_plan(what(here, docs), held)
    assert plan.counts["add"] == 3
    seen: list[Progress] = []
    report = hand_over(what(here, docs, ("2.md",), groups=("staff",)), held, seen.append)
    assert (report.added, report.failed) == (2, [])
    assert seen[-1].done == 2
    assert hand_over_check(what(here, docs, ("2.md",), groups=("staff",)), held).same == 2
    only = frozenset({(docs / "2.md").as_uri()})
    assert hand_over(what(here, docs, only=only), held).added == 1


def test_a_mistake_has_the_exit_code_that_it_has_here(server: Serving, tmp_path: Path) -> None:
    ran = ingest(server, tmp_path, "absent-folder")
    assert ran.returncode == 2
    assert "absent-folder" in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "said", "code"),
    [
        ({"LIBRARIAN_TENANT": "acme"}, "tenant 'default', not 'acme'", 2),
        ({"LIBRARIAN_BM25_LANGUAGE": "german"}, "something else", 5),
        ({"LIBRARIAN_COLLECTION": "librarian-records"}, "own collection", 2),
    ],
)
def test_what_the_server_does_not_serve_is_refused(
    server: Serving, docs: Path, variables: dict[str, str], said: str, code: int
) -> None:
    ran = ingest(server, docs, ".", **variables)
    assert said in ran.stderr
    assert ran.returncode == code


def test_ctrl_c_cancels_the_servers_job(server: Serving, tmp_path: Path, held: Holder) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(300):
        (many / f"{number}.md").write_text(f"# Document {number}\n\n" + "Pods run containers on nodes. " * 300)
    command = subprocess.Popen(
        [*COMMAND, "ingest", "many", "--collection", "stopped"],
        cwd=tmp_path,
        env=environment(server.data_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    token = {HOLDER_HEADER: held.token}

    def newest() -> dict[str, Any]:
        listed: list[dict[str, Any]] = server.http.get("/v1/jobs", headers=token).json()["data"]
        return listed[0] if listed else {"collection": "", "state": ""}  # the first to be handed over comes soon

    assert wait_until(lambda: newest()["collection"] == "stopped" and newest()["state"] == "running", 60)
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=30)
    assert command.returncode == 130
    assert wait_until(lambda: newest()["state"] == "cancelled", 60)


BODY: dict[str, Any] = {"sources": ["/etc"], "collection": "c", "tenant": "default", "fingerprint": {}}


class TestWhoMay:
    @pytest.mark.parametrize("token", [None, "", "guessed", "ü"])
    def test_without_the_token_local_paths_are_out_of_reach(self, server: Serving, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        if token is not None:
            headers[HOLDER_HEADER] = token
        response = httpx2.post(
            f"{server.url}/v1/jobs",
            json=BODY,
            headers={name: value.encode("latin-1") for name, value in headers.items()},  # type: ignore[misc]
            trust_env=False,
        )
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "forbidden"

    def test_the_token_is_for_one_users_eyes(self, server: Serving, held: Holder) -> None:
        path = server.data_dir / "index" / "holder.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(held.token) >= 40
        assert held.token not in repr(held)
        assert held.token not in str(held)

    def test_jobs_that_name_local_paths_are_for_that_user_only(
        self, server: Serving, settings: Settings, held: Holder, docs: Path
    ) -> None:
        hand_over(what(settings.model_copy(update={"collection": "hidden"}), docs), held)
        seen = httpx2.get(f"{server.url}/v1/jobs", headers={HOLDER_HEADER: held.token}, trust_env=False).json()["data"]
        assert str(docs) in seen[0]["send_again"] or seen[0]["kind"] == "ingest"
        assert server.http.get(f"/v1/jobs/{seen[0]['id']}").status_code == 404
        assert not any(each["kind"] == "ingest" for each in server.http.get("/v1/jobs").json()["data"])

    def test_work_of_another_version_is_refused_in_words(self, server: Serving, held: Holder) -> None:
        strange = {**BODY, "settings": {"api_key": "x"}}
        response = handed(server, strange, held.token)
        assert response.status_code in {400, 409}
        assert handed(server, {**BODY, "unknown": 1}, held.token).status_code == 400


class TestWhereTheServerIsGone:
    def test_one_that_does_not_answer_is_said_to_hold_the_index(self, settings: Settings, docs: Path) -> None:
        gone = Holder(1, "librarian serve", "http://127.0.0.1:9", "token")
        with pytest.raises(IndexLocked, match="does not answer"):
            hand_over(what(settings, docs), gone)

    def test_one_that_dies_on_the_way_is_told(self, tmp_path: Path, fake_model: FakeModel) -> None:
        many = tmp_path / "many"
        many.mkdir()
        for number in range(300):
            (many / f"{number}.md").write_text(f"# Document {number}\n\n" + "Pods run containers on nodes. " * 300)
        data = tmp_path / "data"
        with Serving(data, fake_model.url) as server:
            settings = Settings(data_dir=data)
            found = holder(settings)
            assert found

            def kill(progress: Progress) -> None:
                if progress.documents and server.process and server.process.poll() is None:
                    server.kill()

            with pytest.raises(HandedOver, match="died or was stopped"):
                hand_over(what(settings, many), found, kill)


def test_sources_are_named_so_that_another_process_finds_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("docs") == str(tmp_path / "docs")
    assert absolute("docs/**/*.md") == str(tmp_path / "docs/**/*.md")
    assert absolute("/srv/docs") == "/srv/docs"
    assert absolute("s3://bucket/docs") == "s3://bucket/docs"
    assert absolute("https://example.org/sitemap.xml") == "https://example.org/sitemap.xml"
