"""A request names the profile that answers it: the chat model itself, or one of its adapters."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.fake_model import FakeModel
from tests.integration.api_chat.asking import TEXT, UNRELATED, chat, refusal
from tests.integration.api_server import FixedRetriever

LISTED = [
    {"id": "fake", "max_model_len": 4096},
    {"id": "brief", "parent": "fake"},
    {"id": "another", "max_model_len": 4096},
]


@pytest.fixture(autouse=True)
def brief(model: FakeModel) -> Iterator[None]:
    """The model's server has an adapter that answers otherwise, and a model that has nothing to do with it."""
    before = model.models
    model.models, model.says = LISTED, {"brief": lambda _: ["Containers [1]."]}
    yield
    model.models, model.says = before, {}


@pytest.mark.parametrize(
    ("name", "asked", "text"),
    [
        ("librarian", "fake", TEXT),
        ("librarian:fake", "fake", TEXT),
        ("librarian:brief", "brief", "Containers [1]."),
        ("librarian/handbook:brief", "brief", "Containers [1]."),
    ],
)
def test_the_profile_that_is_named_answers(
    http: httpx2.Client, model: FakeModel, retriever: FixedRetriever, name: str, asked: str, text: str
) -> None:
    answer = chat(http, model=name)
    assert answer["choices"][0]["message"]["content"] == text
    assert answer["model"] == name
    assert model.chats[-1]["model"] == asked
    assert retriever.asked[-1][2] == ("handbook" if "/" in name else None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fields", [{}, {"messages": UNRELATED}, {"on_model_failure": "sources"}])
@pytest.mark.parametrize("name", ["nowhere", "another"])
def test_one_that_there_is_not_is_refused_with_those_that_there_are(
    http: httpx2.Client, retriever: FixedRetriever, name: str, fields: dict[str, object], stream: bool
) -> None:
    if fields.get("messages"):
        retriever.relevance = 0.0
    error = refusal(http, 404, model=f"librarian:{name}", stream=stream, **fields)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert error["message"] == f"there is no profile '{name}', but fake, brief."


def test_profiles_are_listed_while_the_models_server_answers(http: httpx2.Client, model: FakeModel) -> None:
    def listed() -> set[str]:
        return {each["id"] for each in http.get("/models").raise_for_status().json()["data"] if ":" in each["id"]}

    assert listed() == {"librarian:fake", "librarian:brief"}
    model.fail["models"] = 503
    assert listed() == set()
    model.fail.pop("models")
    model.models = [{"id": "fake"}, {"id": "another"}]
    assert listed() == set()  # nothing to choose from


def test_one_profile_is_told_of(http: httpx2.Client) -> None:
    for name in ("librarian:brief", "librarian/handbook:brief"):
        assert http.get(f"/models/{name}").raise_for_status().json()["id"] == name
    error = http.get("/models/librarian:nowhere")
    assert error.status_code == 404
    assert error.json()["error"]["message"] == "there is no profile 'nowhere', but fake, brief."
    assert http.get("/models/librarian/nowhere:brief").json()["error"]["code"] == "model_not_found"


def test_while_the_models_server_is_away_a_named_profile_leaves_the_sources_too(
    http: httpx2.Client, model: FakeModel
) -> None:
    model.fail = {"models": 500, "chat": 500}
    assert chat(http, model="librarian:not-asked-yet", on_model_failure="sources")["model_unavailable"]
