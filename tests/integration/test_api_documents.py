"""Documents over the API: in as files or text, listed, searched, replaced, deleted; whose they are; what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from rag.index.embedded import EmbeddedIndex
from rag.records import RESERVED
from tests.fake_model import FakeModel
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_routes.routes import assert_error
from tests.integration.api_server import ApiServer, FixedRetriever

KEY = "a-key-that-nobody-guesses"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    limits = {"max_upload_documents": 20, "max_upload_bytes": 200_000, "max_request_bytes": 50_000}
    with feeding(tmp_path_factory.mktemp("data"), **limits) as running:
        yield running


@pytest.fixture(scope="module")
def names(api: Feeding) -> list[str]:
    """What the collection `list` holds."""
    names = [f"{folder}/{number}.md" for folder in "ab" for number in range(5)]
    api.done(api.send({name: name.encode() for name in names}, collection="list"))
    return names


@pytest.fixture(scope="module")
def paths(api: Feeding) -> dict[str, Any]:
    """Those of the OpenAPI document."""
    found: dict[str, Any] = api.http.get("/openapi.json").json()["paths"]
    return found


def refused(response: httpx2.Response, *facts: str, status: int = 400) -> None:
    assert response.status_code == status, response.text
    for fact in facts:
        assert fact in response.json()["error"]["message"]


class TestComingIn:
    def test_files_are_indexed_listed_and_found(self, api: Feeding) -> None:
        sent = api.send(
            {"pods.md": b"# Pods\n\nPods run containers.", "sub/probe.txt": b"A probe checks a pod."},
            collection="coming",
            prefix="handbook",
            metadata='{"team": "sre"}',
        )
        report = api.done(sent)
        assert (report["added"], report["chunks"], report["failures"]) == (2, 2, 0)
        listed = api.http.get("/v1/documents", params={"collection": "coming"}).json()
        assert listed["data"][0] == {
            "uri": "upload:handbook/pods.md",
            "path": "handbook/pods.md",
            "title": "Pods",
            "chunks": 1,
            "format": "markdown",
            "groups": [],
            "metadata": {"team": "sre"},
        }
        assert [each["uri"] for each in listed["data"]] == ["upload:handbook/pods.md", "upload:handbook/sub/probe.txt"]
        found = api.http.post("/v1/search", json={"query": "probe", "collection": "coming"}).json()["data"]
        assert {each["uri"] for each in found} == {each["uri"] for each in listed["data"]}

    def test_the_same_name_again_replaces_and_the_same_content_is_kept(self, api: Feeding) -> None:
        assert api.done(api.send({"a.md": b"first"}, collection="again"))["added"] == 1
        assert api.done(api.send({"a.md": b"second"}, collection="again"))["replaced"] == 1
        assert api.done(api.send({"a.md": b"second"}, collection="again"))["kept"] == 1
        texts = api.http.post("/v1/search", json={"query": "second", "collection": "again"}).json()["data"]
        assert [each["text"] for each in texts] == ["second"]

    def test_what_is_not_sent_again_stays(self, api: Feeding) -> None:
        api.done(api.send({"a.md": b"a", "b.md": b"b"}, collection="stays"))
        assert api.done(api.send({"a.md": b"changed"}, collection="stays"))["deleted"] == 0
        assert api.uris(collection="stays") == ["upload:a.md", "upload:b.md"]

    def test_text_comes_as_json_in_three_formats(self, api: Feeding) -> None:
        sent = api.send_text(
            {"id": "notes/a b ä", "text": "# Title\n\nMarkdown.", "metadata": {"own": "1"}},
            {"id": "b", "text": "# no heading", "format": "text", "title": "Plain"},
            {"id": "c.html", "text": "<html><body><h1>T</h1><p>Some words.</p></body></html>", "format": "html"},
            collection="texts",
            metadata={"all": "2"},
        )
        assert api.done(sent)["added"] == 3
        listed = api.http.get("/v1/documents", params={"collection": "texts"}).json()["data"]
        facts = {each["uri"]: (each["title"], each["metadata"]) for each in listed}
        assert facts["upload:notes/a%20b%20%C3%A4"] == ("Title", {"all": "2", "own": "1"})
        assert facts["upload:b"][0] == "Plain"
        found = api.http.post("/v1/search", json={"query": "words", "collection": "texts"}).json()["data"]
        assert not any("<p>" in each["text"] for each in found)

    def test_a_bad_file_is_named_and_the_others_are_indexed(self, api: Feeding) -> None:
        report = api.done(api.send({"bad.pdf": b"%PDF-1.7 broken", "good.md": b"good"}, collection="bad"))
        assert (report["added"], report["failures"]) == (1, 1)
        assert report["failed"][0]["path"] == "bad.pdf"
        assert report["failed"][0]["reason"]
        assert api.uris(collection="bad") == ["upload:good.md"]

    def test_nothing_of_an_upload_stays_on_the_disk(self, api: Feeding) -> None:
        api.done(api.send({"a.md": b"text"}, collection="disk"))
        api.send({"a.md": b"text", "../b.md": b"text"})
        [own] = [each for each in (api.server.settings.data_dir / "uploads").iterdir() if each.is_dir()]
        assert [each.name for each in own.iterdir()] == ["lock"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("documents", "said"),
        [
            ([], "documents"),
            ([{"id": "a", "text": "x"}, {"id": "b"}], "document 2: text"),
            ([{"id": "a", "text": "x", "groop": []}], "document 1: groop"),
            ([{"id": "", "text": "x"}], "document 1: id"),
            ([{"id": "../a", "text": "x"}], "document 1 has a name"),
            ([{"id": "a", "text": "x"}, {"id": "./a", "text": "y"}], "documents 1 and 2 have the same name 'a'"),
            ([{"id": "a", "text": "x", "metadata": {"k": 1}}], "document 1: metadata.k"),
            ([{"id": "a", "text": "x", "format": "pdf"}], "document 1: format"),
            ([{"id": str(each), "text": "x"} for each in range(21)], "LIBRARIAN_MAX_UPLOAD_DOCUMENTS"),
        ],
    )
    def test_of_many_documents_the_wrong_one_is_named(self, api: Feeding, documents: list[Any], said: str) -> None:
        refused(api.send_text(*documents), said)

    def test_mistakes_in_a_form_are_named(self, api: Feeding) -> None:
        refused(api.http.post("/v1/documents", files=[("files", ("", b"x"))]), "file 1 has no name")
        refused(api.send({"a.md": b"x"}, metadata="[1]"), "metadata")
        refused(api.send({"a.md": b"x"}, collection="no such/name"), "collection")
        refused(api.send({f"{each}.md": b"x" for each in range(21)}), "LIBRARIAN_MAX_UPLOAD_DOCUMENTS")
        refused(api.http.post("/v1/documents", content=b"x", headers={"Content-Type": "text/plain"}), "multipart")
        refused(api.http.post("/v1/documents", content=b"{", headers={"Content-Type": "application/json"}), "JSON")

    def test_half_a_surrogate_pair_is_no_text(self, api: Feeding) -> None:
        body = b'{"documents": [{"id": "a", "text": "\\ud800"}]}'
        sent = api.http.post("/v1/documents", content=body, headers={"Content-Type": "application/json"})
        assert sent.status_code == 400

    def test_a_body_over_the_limit_is_413_and_names_the_setting(self, api: Feeding) -> None:
        response = api.send({"a.md": b"x" * 250_000})
        assert_error(response, 413, "invalid_request_error", "request_too_large")
        assert "LIBRARIAN_MAX_UPLOAD_BYTES" in response.text
        assert api.send({"a.md": b"x " * 50_000}, collection="large").status_code == 202  # more than other routes take

    def test_what_is_just_within_the_limits_is_taken(self, api: Feeding) -> None:
        most = {f"{each}.md": b"x" for each in range(20)}
        assert api.send(most, collection="many").status_code == 202
        body = json.dumps({"documents": [{"id": "a.md", "text": "x"}], "collection": "large"}).encode()
        whole = {"content": body + b" " * (200_000 - len(body)), "headers": {"Content-Type": "application/json"}}
        assert api.http.post("/v1/documents", **whole).status_code == 202
        refused(api.http.post("/v1/documents", **{**whole, "content": whole["content"] + b" "}), "BYTES", status=413)

    def test_json_has_a_limit_of_its_own_and_files_have_not(
        self, api: Feeding, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("serve.routes.documents.MAX_JSON_BYTES", 1_000)
        refused(api.send_text({"id": "a.md", "text": "x" * 1_000}), "1000 bytes; send more as files")
        assert api.send({"a.md": b"x" * 1_000}, collection="large").status_code == 202

    def test_a_full_disk_is_said(self, api: Feeding, monkeypatch: pytest.MonkeyPatch) -> None:
        class Usage(NamedTuple):
            total: int
            used: int
            free: int

        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 1000, 1000))
        refused(api.send({"a.md": b"x"}), "make room", status=507)

    def test_the_services_own_collection_is_no_place_for_documents(self, api: Feeding) -> None:
        refused(api.send({"a.md": b"x"}, collection=RESERVED), RESERVED)

    def test_a_service_that_only_answers_says_so(self) -> None:
        with FakeModel() as model, ApiServer(FixedRetriever(), llm_url=model.url) as server:
            response = httpx2.get(f"{server.v1}/documents", trust_env=False)
        assert_error(response, 501, "server_error", "no_ingestion")


class TestListingAndDeleting:
    def test_pages_hold_every_document_once(self, api: Feeding, names: list[str]) -> None:
        seen, cursor = [], ""
        for _ in range(10):
            query = {"collection": "list", "limit": 3, "cursor": cursor}
            page = api.http.get("/v1/documents", params=query).raise_for_status().json()
            seen += [each["uri"] for each in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(f"upload:{each}" for each in names)

    def test_a_prefix_narrows(self, api: Feeding, names: list[str]) -> None:
        assert len(api.uris(collection="list", prefix="upload:b/")) == 5
        assert api.uris(collection="list", prefix="upload:c/") == []

    def test_a_made_up_cursor_and_an_unknown_collection_are_refused(self, api: Feeding) -> None:
        refused(api.http.get("/v1/documents", params={"cursor": "%%%"}), "cursor")
        refused(api.http.get("/v1/documents", params={"collection": "absent"}), "absent", status=404)
        refused(api.http.get("/v1/documents", params={"limit": 0}), "limit")

    def test_documents_are_deleted_by_query_and_by_body(self, api: Feeding) -> None:
        long = b"\n\n".join(f"Paragraph {each} of many words that fill it.".encode() for each in range(40))
        api.done(api.send({"long.md": long, "a.md": b"a", "b.md": b"b", "c.md": b"c"}, collection="gone"))
        query = {"collection": "gone", "uri": ["upload:long.md", "upload:a.md", "upload:absent"]}
        assert api.http.delete("/v1/documents", params=query).json()["deleted"] == 2
        body = {"uris": ["upload:b.md"]}
        sent = api.http.request("DELETE", "/v1/documents", params={"collection": "gone"}, json=body)
        assert sent.json() == {"object": "documents.deleted", "deleted": 1}
        assert api.uris(collection="gone") == ["upload:c.md"]
        found = api.http.post("/v1/search", json={"query": "words", "collection": "gone", "top_k": 50}).json()["data"]
        assert [each["uri"] for each in found] == ["upload:c.md"]
        refused(api.http.delete("/v1/documents"), "uri")


class TestWhoseTheyAre:
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[EmbeddedIndex]:
        opened = EmbeddedIndex(tmp_path / "index")
        yield opened
        opened.close()

    def test_another_tenant_sees_deletes_and_asks_of_nothing(self, index: EmbeddedIndex, tmp_path: Path) -> None:
        with (
            feeding(tmp_path / "a", index, tenant="acme") as ours,
            feeding(tmp_path / "b", index, tenant="rival") as theirs,
        ):
            sent = ours.send({"plan.md": b"secret plan"})
            ours.done(sent)
            identity = sent.json()["id"]
            assert theirs.uris() == []
            assert theirs.http.delete("/v1/documents", params={"uri": "upload:plan.md"}).json()["deleted"] == 0
            assert theirs.http.get(f"/v1/jobs/{identity}").status_code == 404
            assert theirs.http.delete(f"/v1/jobs/{identity}").status_code == 404
            assert theirs.http.get("/v1/jobs").json()["data"] == []
            theirs.done(theirs.send({"plan.md": b"another plan"}))
            assert ours.uris() == theirs.uris() == ["upload:plan.md"]
            [found] = ours.http.post("/v1/search", json={"query": "plan"}).json()["data"]
            assert found["text"] == "secret plan"

    def test_a_service_for_groups_writes_for_its_groups_only(self, index: EmbeddedIndex, tmp_path: Path) -> None:
        with (
            feeding(tmp_path / "open", index) as everyone,
            feeding(tmp_path / "staff", index, groups=("staff", "hr")) as staff,
            feeding(tmp_path / "sales", index, groups=("sales",)) as sales,
        ):
            everyone.done(everyone.send({"public.md": b"public"}))
            sent = staff.send({"pay.md": b"pay"})
            staff.done(sent)
            staff.done(staff.send({"one.md": b"one"}, groups="hr"))
            by_uri = {each["uri"]: each["groups"] for each in staff.http.get("/v1/documents").json()["data"]}
            assert by_uri == {"upload:pay.md": ["hr", "staff"], "upload:one.md": ["hr"], "upload:public.md": []}
            assert everyone.uris() == sales.uris() == ["upload:public.md"]

            refused(staff.send({"x.md": b"x"}, groups="sales"), "sales", status=403)
            refused(staff.send({"x.md": b"x"}, groups=""), "everyone", status=403)
            refused(everyone.send({"x.md": b"x"}, groups="staff"), "staff", status=403)
            refused(staff.send_text({"id": "y", "text": "y", "groups": ["hr", "ceo"]}), "ceo", status=403)

            # neither read, nor overwritten, nor deleted, nor told of
            refused(sales.send({"pay.md": b"overwritten"}), "not yours", status=403)
            refused(everyone.send({"pay.md": b"overwritten"}), "not yours", status=403)
            assert sales.http.delete("/v1/documents", params={"uri": "upload:pay.md"}).json()["deleted"] == 0
            refused(sales.http.delete("/v1/documents", params={"uri": "upload:public.md"}), "everyone", status=403)
            assert sales.http.get(f"/v1/jobs/{sent.json()['id']}").status_code == 404
            assert staff.http.delete("/v1/documents", params={"uri": "upload:pay.md"}).json()["deleted"] == 1

    def test_with_a_key_every_route_wants_it(self, tmp_path: Path) -> None:
        with feeding(tmp_path, api_key=KEY) as api:
            assert api.http.get("/v1/jobs").status_code == 200
            for method, path in (
                ("POST", "/v1/documents"),
                ("GET", "/v1/documents"),
                ("DELETE", "/v1/documents?uri=a"),
                ("GET", "/v1/jobs"),
                ("GET", "/v1/jobs/1"),
                ("DELETE", "/v1/jobs/1"),
            ):
                response = httpx2.request(method, api.server.url + path, trust_env=False)
                assert_error(response, 401, "authentication_error", "invalid_api_key")

    def test_a_web_page_cannot_write_into_a_local_service(self, api: Feeding) -> None:
        """A form of another origin needs no consent from the browser, and on loopback there is no key."""
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            response = api.http.post(
                "/v1/documents", files=[("files", ("a.md", b"poison"))], headers={"Origin": origin}
            )
            assert_error(response, 403, "permission_error", "forbidden")
        own = {"Origin": api.server.url}
        sent = api.http.post(
            "/v1/documents", files=[("files", ("a.md", b"x"))], data={"collection": "own"}, headers=own
        )
        assert sent.status_code == 202


class TestTheOpenApiDocument:
    def test_an_upload_is_told_in_both_its_forms(self, paths: dict[str, Any]) -> None:
        content = paths["/v1/documents"]["post"]["requestBody"]["content"]
        assert content["multipart/form-data"]["schema"]["required"] == ["files"]
        document = content["application/json"]["schema"]["properties"]["documents"]["items"]
        assert {"id", "text"} <= document["properties"].keys()
        assert document["properties"]["text"]["examples"]

    def test_every_route_names_its_errors_and_no_other(self, paths: dict[str, Any]) -> None:
        statuses = {
            f"{method} {path}": set(operation["responses"])
            for path, item in paths.items()
            if path.startswith(("/v1/documents", "/v1/jobs"))
            for method, operation in item.items()
        }
        assert statuses.keys() == {
            "post /v1/documents",
            "get /v1/documents",
            "delete /v1/documents",
            "get /v1/documents/text",
            "post /v1/jobs",
            "get /v1/jobs",
            "get /v1/jobs/{identity}",
            "delete /v1/jobs/{identity}",
        }
        assert {"202", "400", "403", "413", "429", "507"} <= statuses["post /v1/documents"]
        assert not any("422" in each for each in statuses.values())
