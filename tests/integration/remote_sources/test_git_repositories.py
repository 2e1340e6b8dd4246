"""A git repository as a source, behind git's own HTTP backend."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rag.errors import SourceError
from tests.integration.remote_sources.local_site import LIMIT, Answer, Site, items, moved, opened, page, resolve


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
class TestGit:
    @pytest.fixture
    def work(self, tmp_path: Path) -> Path:
        work = tmp_path / "work"
        work.mkdir()
        git(work, "init", "-q", "-b", "main")
        for name, text in {"README.md": "Read me.", "docs/ü #1.md": "One.", "docs/.h.md": "H.", "x.bin": ""}.items():
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text(text)
        (work / "link.md").symlink_to("/etc/passwd")
        git(work, "add", ".")
        git(work, "commit", "-qm", "first")
        git(work, "tag", "v1")
        return work

    @pytest.fixture
    def served(self, work: Path, site: Site, tmp_path: Path) -> str:
        """The repository behind git's own HTTP backend; returns its URL."""
        git(tmp_path, "clone", "-q", "--bare", str(work), "repo.git")

        def backend(handler: BaseHTTPRequestHandler) -> None:
            parts = urlsplit(handler.path)
            body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            body = gzip.decompress(body) if handler.headers.get("Content-Encoding") == "gzip" else body
            environment = {
                "GIT_PROJECT_ROOT": str(tmp_path),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": handler.command,
                "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
                "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
                "PATH": os.defpath,
            }
            done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            status = int(headers.pop("Status", "200 OK").split()[0])
            page(data, headers.pop("Content-Type", "text/plain"), status)(handler)

        class Every(dict[str, Answer]):
            def get(self, key: str, default: Any = None) -> Answer:
                return super().get(key) or (backend if key.startswith("/repo.git/") else default)

        site.pages = Every()
        return f"git+{site.url}/repo.git"

    def test_its_files_are_documents_of_the_repository_not_of_a_commit(self, served: str) -> None:
        with closing(opened(served)) as source:
            found = items(source)
            assert [each.uri for each in found] == [f"{served}#README.md", f"{served}#docs/%C3%BC%20%231.md"]
            assert [source.read(each, LIMIT) for each in found] == [b"Read me.", b"One."]
            assert [each.size for each in found] == [8, 4]
            assert all(each.stamp.startswith("blob:") and source.owns(each.uri) for each in found)
            assert not source.owns(f"{served}#docs/.h.md")
            assert not source.owns(served.replace("repo", "repo2") + "#README.md")

    def test_a_ref_names_another_state_of_the_same_documents(self, served: str, work: Path, tmp_path: Path) -> None:
        with closing(opened(served)) as source:
            before = {each.uri: each.stamp for each in items(source)}
        (work / "README.md").write_text("Read me again.")
        git(work, "commit", "-qam", "second")
        git(work, "push", "-q", str(tmp_path / "repo.git"), "main")
        commit = git(work, "rev-parse", "v1^{commit}")
        git(tmp_path / "repo.git", "config", "uploadpack.allowAnySHA1InWant", "true")
        for ref, same in (("", False), ("@main", False), ("@v1", True), (f"@{commit}", True)):
            with closing(opened(served + ref)) as source:
                after = {each.uri: each.stamp for each in items(source)}
            assert after.keys() == before.keys()
            assert (after == before) is same, ref

    def test_a_folder_of_it_owns_only_that(self, served: str) -> None:
        with closing(opened(f"{served}@main#docs")) as source:
            found = items(source)
            assert [(each.uri, each.path) for each in found] == [(f"{served}#docs/%C3%BC%20%231.md", "ü #1.md")]
            assert source.owns(f"{served}#docs/gone.md")
            assert not source.owns(f"{served}#docs2/gone.md")
            assert not source.owns(f"{served}#README.md")

    def test_its_own_ignore_file_counts(self, served: str, work: Path, tmp_path: Path) -> None:
        (work / ".librarianignore").write_text("docs/\n")
        git(work, "add", "-f", ".librarianignore")
        git(work, "commit", "-qm", "ignore")
        git(work, "push", "-q", str(tmp_path / "repo.git"), "main")
        with closing(opened(served)) as source:
            assert [each.path for each in items(source)] == ["README.md"]

    def test_a_document_over_the_limit_is_refused_and_the_next_one_read(self, served: str) -> None:
        with closing(opened(served)) as source:
            first, second = items(source)
            for limit in (3, 5):
                with pytest.raises(SourceError, match="LIBRARIAN_MAX_DOCUMENT_BYTES"):
                    source.read(first, limit)
            assert source.read(second, 4) == b"One."

    def test_what_it_leaves_on_the_disk_is_removed(self, served: str) -> None:
        source = opened(served)
        items(source)
        home = source._home  # type: ignore[attr-defined]
        assert home.is_dir()
        source.close()
        source.close()
        assert not home.exists()

    def test_what_cannot_be_fetched_is_an_error_in_one_line(self, served: str) -> None:
        for url in (served.replace("repo", "none"), f"{served}@no-such-branch"):
            with closing(opened(url)) as source, pytest.raises(SourceError, match="cannot be fetched") as raised:
                items(source)
            assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("ref", ["--upload-pack=touch x", "a..b", "-x", "a b", "main:evil"])
    def test_a_ref_that_is_none_is_refused(self, served: str, ref: str) -> None:
        with pytest.raises(SourceError, match="no branch, tag or commit"):
            opened(f"{served}@{ref}")

    def test_a_private_address_and_a_redirect_are_refused(self, served: str, site: Site) -> None:
        with (
            closing(opened(served, allow_private_urls=False)) as source,
            pytest.raises(SourceError, match="not a public one"),
        ):
            items(source)
        site.pages["/repo.git/info/refs?service=git-upload-pack"] = moved(
            f"{site.url}/other.git/info/refs?service=git-upload-pack"
        )
        with closing(opened(served)) as source, pytest.raises(SourceError, match="cannot be fetched"):
            items(source)
        assert not any("other.git" in path for _, path, _ in site.asked)

    def test_git_connects_to_the_address_that_was_looked_up(
        self, served: str, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve(monkeypatch, {"code.example": ["127.0.0.1"]})
        with closing(opened(served.replace("127.0.0.1", "code.example"))) as source:
            assert len(items(source)) == 2  # no name server knows code.example

    def test_one_that_takes_too_long_is_stopped(self, served: str, site: Site) -> None:
        site.pages["/repo.git/info/refs?service=git-upload-pack"] = lambda _: time.sleep(3)
        started = time.monotonic()
        with closing(opened(served, url_timeout=0.05)) as source, pytest.raises(SourceError, match=r"0\.5 seconds"):
            items(source)
        assert time.monotonic() - started < 2.5
