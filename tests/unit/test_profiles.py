"""Which of a server's models is in service, and which others a question may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.profiles import UnknownProfile, profiles, served
from rag.settings import Settings
from serve.model_names import UnknownModel, chosen, of_profile

BASE, OTHER = {"id": "smollm2"}, {"id": "gpt-4o"}
GROUNDED, BRIEF = ({"id": name, "parent": "smollm2"} for name in ("grounded", "brief"))
Make = Callable[..., Settings]


@pytest.mark.parametrize(
    ("in_service", "names"),
    [
        ("smollm2", ("smollm2", "grounded", "brief")),
        ("brief", ("brief", "smollm2", "grounded")),
        ("gpt-4o", ("gpt-4o",)),
        ("not-listed", ("not-listed",)),
    ],
)
def test_a_model_and_its_adapters_may_be_named_and_the_servers_other_models_may_not(
    in_service: str, names: tuple[str, ...]
) -> None:
    assert profiles([BASE, OTHER, GROUNDED, BRIEF], in_service) == names


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"llm_url": "http://m/v1"}, "smollm2"),
        ({"llm_url": "http://m/v1", "engine_adapter": "/tuned/brief"}, "brief"),
        ({"llm_url": "http://m/v1", "engine_adapter": "/tuned/gone"}, "smollm2"),
        ({"llm_url": "http://m/v1", "engine_adapter": "/tuned/brief", "llm_model": "gpt-4o"}, "gpt-4o"),
        ({}, "grounded"),
        ({"engine_adapter": "/tuned/brief"}, "brief"),
    ],
)
def test_the_adapter_of_the_settings_is_in_service_where_the_server_has_it(
    settings: Make, values: dict[str, Any], name: str
) -> None:
    assert served([BASE, OTHER, GROUNDED, BRIEF], settings(**values)) == name


def test_nothing_is_in_service_where_nothing_is_listed(settings: Make) -> None:
    assert served([{"object": "model"}], settings()) is None


def test_the_refusal_of_an_unknown_one_names_those_that_there_are() -> None:
    error = UnknownProfile("nowhere", ["grounded", "smollm2"])
    assert str(error) == "there is no profile 'nowhere', but grounded, smollm2."


@pytest.mark.parametrize(
    ("model", "collection", "profile"),
    [
        ("librarian", None, None),
        ("librarian/documents", "documents", None),
        ("librarian:grounded", None, "grounded"),
        ("librarian/documents:grounded", "documents", "grounded"),
        ("librarian:org/model:latest", None, "org/model:latest"),
    ],
)
def test_a_models_name_chooses_collection_and_profile(model: str, collection: str | None, profile: str | None) -> None:
    assert (chosen(model).collection, chosen(model).profile) == (collection, profile)


@pytest.mark.parametrize("model", ["", "librarian:", "librarian/:x", "librarian/a/b", "x:grounded", "librarian: x"])
def test_other_names_are_refused(model: str) -> None:
    with pytest.raises(UnknownModel, match="there is no model"):
        chosen(model)


@given(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=60))
def test_the_name_of_a_profile_chooses_it(profile: str) -> None:
    assert chosen(of_profile(profile)).profile == profile


def test_an_adapter_joined_into_its_model_is_all_that_the_local_engine_offers(settings: Make) -> None:
    joined = [{"id": "grounded", "parent": None}]
    assert served(joined, settings()) == served(joined, settings(engine_adapter="/tuned/grounded")) == "grounded"
    assert profiles(joined, "grounded") == ("grounded",)
