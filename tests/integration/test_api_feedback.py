"""/v1/feedback: what is taken of whom, what is believed, and who may read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rag.errors import IndexLocked
from rag.feedback import Wanted
from rag.schema import Scope
from rag.settings import Settings
from serve.feedback_reading import reading
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_server import ask

ADMIN = "the-key-of-the-settings"
TEXT = "The scheduler assigns each pending pod to a suitable node."
QUESTION = "Which scheduler assigns a pending pod?"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    folder = tmp_path_factory.mktemp("feedback")
    with feeding(folder, api_key=ADMIN, groups=("sre", "dev"), min_relevance=0) as running:
        running.done(running.send_text({"id": "pods", "text": TEXT, "groups": ["sre"]}))
        yield running


class Caller:
    """Somebody with a key."""

    def __init__(self, api: Feeding, *groups: str, tenant: str = "default", permissions: tuple[str, ...] = ("read",)):
        store = api.server.app.state.keys.store
        self.key, token = store.create("test", Scope(tenant, frozenset(groups)), permissions)
        self.http = httpx2.Client(
            base_url=api.server.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=20
        )

    def asks(self, **fields: Any) -> dict[str, Any]:
        """The answer to a question; the last chunk's fields beside the first's where it was streamed."""
        response = self.http.post("/v1/chat/completions", json=ask(QUESTION, **fields)).raise_for_status()
        if not fields.get("stream"):
            found: dict[str, Any] = response.json()
            return found
        chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        return {name: value for chunk in chunks for name, value in chunk.items()}

    def says(self, answer_id: str, rating: str = "up", status: int = 201, **fields: Any) -> dict[str, Any]:
        response = self.http.post("/v1/feedback", json={"answer_id": answer_id, "rating": rating, **fields})
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.json()
        return found

    def hears(self, **query: Any) -> list[dict[str, Any]]:
        response = self.http.get("/v1/feedback", params=query)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["data"]
        return found


def heard_of(api: Feeding, answer_id: str, **query: Any) -> list[dict[str, Any]]:
    """What the admin of the settings' key reads of an answer."""
    found = api.http.get("/v1/feedback", params={"limit": 1000, **query}).raise_for_status().json()["data"]
    return [each for each in found if each["answer_id"] == answer_id]


class TestAnAnswerThatTheServiceKnows:
    @pytest.mark.parametrize("stream", [False, True])
    def test_its_id_is_enough(self, api: Feeding, stream: bool) -> None:
        caller = Caller(api, "sre")
        answer = caller.asks(stream=stream)
        said = caller.says(answer["id"], "down", comment=" not mine ")
        assert (said["verified"], said["comment"], said["rating"]) == (True, "not mine", "down")
        [heard] = heard_of(api, answer["id"], include_text=True)
        assert (heard["question"], heard["searched"], heard["collection"]) == (QUESTION, QUESTION, "documents")
        assert heard["answer"].startswith("Kubernetes runs containers")
        [passage] = heard["passages"]
        assert passage == {"id": passage["id"], "document": "upload:pods", "cited": True, "text": TEXT}
        assert (heard["caller"], heard["groups"]) == (caller.key.id, ["sre"])

    def test_what_the_caller_tells_of_it_counts_for_nothing(self, api: Feeding) -> None:
        caller = Caller(api, "sre")
        answer = caller.asks()
        caller.says(answer["id"], question="Who is king?", answer="I am.", collection="elsewhere", passages=[])
        [heard] = heard_of(api, answer["id"])
        assert heard["question"] == QUESTION
        assert heard["passages"] != []

    def test_said_again_it_replaces(self, api: Feeding) -> None:
        caller = Caller(api, "sre")
        answer = caller.asks()
        first = caller.says(answer["id"])
        again = caller.says(answer["id"], "down", comment="on second thoughts")
        assert again["id"] == first["id"]
        [heard] = heard_of(api, answer["id"])
        assert (heard["rating"], heard["comment"]) == ("down", "on second thoughts")

    def test_to_another_caller_it_is_unknown(self, api: Feeding) -> None:
        answer = Caller(api, "sre").asks()
        for other in (Caller(api, "sre"), Caller(api, "sre", tenant="rival")):
            assert other.says(answer["id"], status=404)["error"]["code"] == "answer_not_found"
            assert other.says(answer["id"], question="What?")["verified"] is False

    def test_a_request_that_a_chat_interface_makes_for_itself_is_no_answer(self, api: Feeding) -> None:
        caller = Caller(api)
        errand = "### Task:\nSuggest 3-5 relevant follow-up questions\n<chat_history>\nUSER: a\n</chat_history>"
        answer = caller.http.post("/v1/chat/completions", json=ask(errand)).raise_for_status().json()
        caller.says(answer["id"], status=404)


class TestAnAnswerThatItDoesNotKnow:
    def test_what_the_caller_tells_is_kept_as_such(self, api: Feeding) -> None:
        caller = Caller(api, "sre")
        chunk = caller.asks()["context"][0]["id"]
        told = {"question": "What?", "answer": "That [1].", "passages": [{"id": chunk, "cited": True}]}
        assert caller.says("elsewhere-1", **told)["verified"] is False
        [heard] = heard_of(api, "elsewhere-1")
        assert (heard["question"], heard["answer"]) == ("What?", "That [1].")
        assert [(each["document"], each["cited"]) for each in heard["passages"]] == [("upload:pods", True)]
        assert heard_of(api, "elsewhere-1", verified=True) == []

    def test_passages_that_the_caller_cannot_read_are_left_out(self, api: Feeding) -> None:
        chunk = Caller(api, "sre").asks()["context"][0]["id"]
        for stranger in (Caller(api), Caller(api, "dev"), Caller(api, "sre", tenant="rival")):
            told = {"question": "What?", "passages": [{"id": chunk, "cited": True}]}
            stranger.says(f"elsewhere-{stranger.key.id}", **told)
            reader = Caller(api, *stranger.key.groups, tenant=stranger.key.tenant, permissions=("admin",))
            [heard] = [each for each in reader.hears(include_text=True) if each["caller"] == stranger.key.id]
            assert heard["passages"] == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"rating": "sideways"},
            {"comment": "x" * 2001},
            {"question": ""},
            {"question": "x" * 20_001},
            {"answer": "x" * 20_001},
            {"passages": [{"id": "1"}]},
            {"passages": [{"id": "00000000-0000-0000-0000-000000000001"}] * 101},
            {"answer_id": "a b"},
            {"answer_id": "a" * 129},
            {"question": "What? \ud800"},
            {"stars": 5},
        ],
    )
    def test_what_is_too_much_or_nothing_is_400(self, api: Feeding, fields: dict[str, Any]) -> None:
        body = {"answer_id": "elsewhere-2", "rating": "up", "question": "What?", **fields}
        content = json.dumps(body)  # keeps half of a surrogate pair, as an escape
        response = api.http.post("/v1/feedback", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 400, response.text
        assert heard_of(api, "elsewhere-2") == []

    def test_a_collection_that_is_not_there_is_404(self, api: Feeding) -> None:
        told = {"collection": "nowhere", "passages": [{"id": "00000000-0000-0000-0000-000000000001"}]}
        error = Caller(api).says("elsewhere-3", status=404, question="What?", **told)["error"]
        assert error["code"] == "collection_not_found"


class TestWhoReads:
    def test_admins_of_the_tenant_with_all_groups_of_the_caller(self, api: Feeding) -> None:
        answer = (caller := Caller(api, "sre")).asks()
        caller.says(answer["id"])

        def sees(*groups: str, **fields: Any) -> bool:
            found = Caller(api, *groups, permissions=("admin",), **fields).hears()
            return answer["id"] in {each["answer_id"] for each in found}

        assert sees("sre")
        assert sees("sre", "dev")
        assert not sees("dev")
        assert not sees()
        assert not sees("sre", "dev", tenant="rival")

    @pytest.mark.parametrize("permissions", [("read",), ("write",), ("read", "write")])
    def test_nobody_else(self, api: Feeding, permissions: tuple[str, ...]) -> None:
        caller = Caller(api, "sre", permissions=permissions)
        assert caller.http.get("/v1/feedback").status_code == 403
        assert Caller(api, permissions=("admin",)).http.get("/v1/feedback?tenant=rival").status_code == 403
        assert httpx2.get(f"{api.server.url}/v1/feedback", trust_env=False).status_code == 401

    def test_whoever_may_not_read_may_not_rate(self, api: Feeding) -> None:
        Caller(api, permissions=("write",)).says("elsewhere-4", status=403, question="What?")

    def test_page_by_page(self, api: Feeding) -> None:
        caller, admin = Caller(api, tenant="paged"), Caller(api, tenant="paged", permissions=("admin",))
        for number in range(5):
            caller.says(f"elsewhere-{number}", "down" if number == 2 else "up", question="What?")
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = admin.http.get("/v1/feedback", params={"limit": 2, "cursor": cursor}).raise_for_status().json()
            seen += [each["answer_id"] for each in page["data"]]
            cursor = page["next_cursor"]
        assert seen == [f"elsewhere-{number}" for number in (4, 3, 2, 1, 0)]
        assert [each["answer_id"] for each in admin.hears(rating="down")] == ["elsewhere-2"]
        assert admin.http.get("/v1/feedback?cursor=nonsense").status_code == 400


def test_where_none_is_wanted_there_is_no_such_route(tmp_path: Path) -> None:
    with feeding(tmp_path, feedback_days=0) as api:
        assert "/v1/feedback" not in api.http.get("/openapi.json").json()["paths"]
        assert api.http.post("/v1/feedback", json={"answer_id": "a", "rating": "up"}).status_code == 404


def test_a_command_reads_through_the_server_that_holds_the_index(
    api: Feeding, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(api, "sre", tenant="held")
    for number in range(3):
        caller.says(f"elsewhere-{number}", "down" if number else "up", question="What?")

    class Holding:
        url = api.server.url
        token = "a-token"

    def refuse(_: Settings) -> Any:
        raise IndexLocked("the index folder is held.")

    monkeypatch.setattr(api.server.app.state, "holder_token", "a-token")
    monkeypatch.setattr("serve.feedback_reading.open_index", refuse)
    monkeypatch.setattr("serve.feedback_reading.holder", lambda _: Holding)
    monkeypatch.setattr("serve.feedback_reading.PAGE", 2)
    with reading(settings(tenant="held")) as feedback:
        assert [each.answer_id for each in feedback.read(Wanted())] == ["elsewhere-2", "elsewhere-1", "elsewhere-0"]
        assert [each.answer_id for each in feedback.read(Wanted("up"))] == ["elsewhere-0"]
    monkeypatch.setattr("serve.feedback_reading.holder", lambda _: None)
    with pytest.raises(IndexLocked), reading(settings()):
        pass
