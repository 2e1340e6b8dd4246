"""The names that a caller may ask by: of collections in which it may see something, and when these were made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rag.collections import created
from rag.keys import KeyStore
from rag.records import Records
from rag.schema import Scope
from tests.integration.api_feeding import Feeding, feeding
from tests.integration.api_routes.routes import assert_error


def listed(api: Feeding, path: str, *groups: str, tenant: str = "default") -> dict[str, dict[str, Any]]:
    """What a new key of these groups lists, by name."""
    _, token = KeyStore(Records(api.index)).create("test", Scope(tenant, frozenset(groups)))
    response = httpx2.get(api.server.url + path, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return {each.get("id") or each["name"]: each for each in response.raise_for_status().json()["data"]}


@contextmanager
def two_collections(folder: Path) -> Iterator[Feeding]:
    with feeding(folder, api_key="key", groups=("sre", "dev")) as running:
        running.done(running.send_text({"id": "a", "text": "b"}, collection="one", groups=["sre"]))
        running.done(running.send_text({"id": "a", "text": "b"}, collection="two", groups=["dev"]))
        yield running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeding]:
    """For tests that only ask."""
    with two_collections(tmp_path_factory.mktemp("listing")) as running:
        yield running


@pytest.mark.parametrize(
    ("groups", "tenant", "names"),
    [
        (("sre", "dev"), "default", ["one", "two"]),
        (("sre",), "default", ["one"]),
        ((), "default", []),
        (("sre", "dev"), "rival", []),
    ],
)
def test_a_caller_is_told_of_what_it_may_see(api: Feeding, groups: list[str], tenant: str, names: list[str]) -> None:
    models = listed(api, "/v1/models", *groups, tenant=tenant)
    assert list(models) == ["librarian", *(f"librarian/{name}" for name in names)]
    assert list(listed(api, "/v1/collections", *groups, tenant=tenant)) == names


@pytest.mark.parametrize(
    ("groups", "tenant", "asked", "status"),
    [
        ((), "default", "librarian", 200),
        ((), "rival", "librarian", 200),
        (("sre",), "default", "librarian/one", 200),
        (("sre",), "default", "librarian%2Fone", 200),
        (("sre",), "default", "librarian/two", 404),
        ((), "default", "librarian/one", 404),
        (("sre",), "rival", "librarian/one", 404),
        (("sre",), "default", "librarian/nowhere", 404),
        (("sre",), "default", "one", 404),
        (("sre",), "default", "librarian/one/", 404),
        (("sre",), "default", "librarian/", 404),
        (("sre",), "default", "gpt-4o", 404),
    ],
)
def test_one_model_is_told_of_to_who_may_ask_by_it(
    api: Feeding, groups: tuple[str, ...], tenant: str, asked: str, status: int
) -> None:
    _, token = KeyStore(Records(api.index)).create("test", Scope(tenant, frozenset(groups)))
    headers = {"Authorization": f"Bearer {token}"}
    response = httpx2.get(f"{api.server.v1}/models/{asked}", headers=headers, trust_env=False)
    name = asked.replace("%2F", "/")
    if status == 200:
        every = listed(api, "/v1/models", *groups, tenant=tenant)
        assert response.raise_for_status().json() == every[name]
    else:
        error = assert_error(response, 404, "not_found_error", "model_not_found")
        assert error["param"] == "model"
        assert error["message"].startswith(f"there is no model '{name}'")


def test_openais_client_retrieves_one(api: Feeding) -> None:
    import openai  # a second to load, and most workers run none of this

    with openai.OpenAI(base_url=api.server.v1, api_key="key", max_retries=0, timeout=20) as client:
        assert client.models.retrieve("librarian/one").id == "librarian/one"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("librarian/nowhere")


def test_each_says_when_it_was_made(api: Feeding) -> None:
    models, collections = listed(api, "/v1/models", "sre"), listed(api, "/v1/collections", "sre")
    made = models["librarian/one"]["created"]
    assert 0 <= time.time() - made < 600
    assert collections["one"]["created"] == made == created(api.index.describe("one"))
    assert models["librarian"]["created"] == 0  # there is no default collection yet


def test_one_that_was_made_without_a_time_has_none(tmp_path: Path) -> None:
    with two_collections(tmp_path) as api:
        api.index.set_metadata("one", {"created": None})
        assert listed(api, "/v1/models", "sre")["librarian/one"]["created"] == 0
        assert listed(api, "/v1/collections", "sre")["one"]["created"] is None
