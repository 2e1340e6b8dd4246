"""API keys: what is kept of them, and what opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import BadInput
from rag.index.embedded import EmbeddedIndex
from rag.keys import KEYS_TENANT, KeyNotFound, KeyStore, id_of, lifetime_of, shown
from rag.records import RESERVED, Records
from rag.schema import Scope


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedIndex]:
    index = EmbeddedIndex(tmp_path_factory.mktemp("index"))
    yield index
    index.close()


@pytest.fixture(scope="module")
def store(index: EmbeddedIndex) -> KeyStore:
    return KeyStore(Records(index), clock=lambda: 1000.0)


ACME = Scope("acme", frozenset({"sre", "dev"}))


def test_a_key_is_found_by_its_id_whatever_its_tenant(store: KeyStore) -> None:
    key, token = store.create("alice", ACME, ["write", "read"])
    identity = id_of(token)
    assert identity == key.id
    found = store.get(key.id)
    assert found == key
    assert (key.scope, key.permissions) == (ACME, ("read", "write"))


def test_only_the_whole_token_opens_and_only_until_it_expires(store: KeyStore) -> None:
    key, token = store.create("alice", ACME, lifetime=60)
    _, other = store.create("bob", ACME)
    assert key.opens(token, 1059.9)
    assert not key.opens(token, 1060)
    for wrong in (token[:-1], token + "0", token.upper(), other, "", "lib_", f"lib_{key.id}_{key.digest}"):
        assert not key.opens(wrong, 1001)


def test_the_secret_is_kept_nowhere(store: KeyStore, index: EmbeddedIndex) -> None:
    key, token = store.create("alice", ACME)
    secret = token.rpartition("_")[2]
    kept = json.dumps([dict(each.payload) for each in index.scroll(RESERVED, Scope.owner(KEYS_TENANT))])
    assert key.digest in kept
    assert secret not in kept + repr(key)
    assert key.digest not in str(shown(key))


def test_no_reader_sees_the_records_of_keys(store: KeyStore, index: EmbeddedIndex) -> None:
    store.create("alice", ACME)
    for scope in (ACME, Scope(), Scope.owner("acme")):
        assert list(Records(index).scan("key", scope)) == []


def test_a_revoked_key_is_gone_and_only_its_tenant_revokes_it(store: KeyStore) -> None:
    key, _ = store.create("alice", ACME)
    with pytest.raises(KeyNotFound):
        store.revoke(key.id, "rival")
    assert key in store.list("acme")
    assert key not in store.list("rival")
    store.revoke(key.id, "acme")
    assert store.get(key.id) is None
    with pytest.raises(KeyNotFound, match="keys list"):
        store.revoke(key.id)


def test_no_two_keys_are_alike(store: KeyStore) -> None:
    assert len({store.create("alice", ACME)[1] for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("name", "scope", "permissions", "lifetime"),
    [
        ("", ACME, ["read"], None),
        ("a\nb", ACME, ["read"], None),
        ("x" * 101, ACME, ["read"], None),
        ("a", ACME, [], None),
        ("a", ACME, ["root"], None),
        ("a", ACME, ["read"], 0.0),
        ("a", Scope(KEYS_TENANT), ["read"], None),
        ("a", Scope(" "), ["read"], None),
        ("a", Scope("acme", frozenset({""})), ["read"], None),
    ],
)
def test_what_makes_no_key_is_refused(
    store: KeyStore, name: str, scope: Scope, permissions: list[str], lifetime: float | None
) -> None:
    with pytest.raises(BadInput):
        store.create(name, scope, permissions, lifetime)


def test_lifetimes_are_written_with_a_unit() -> None:
    assert [lifetime_of(each) for each in ("90d", "12h", "30m", "45s")] == [7_776_000, 43_200, 1800, 45]
    for wrong in ("", "90", "d", "-1d", "0d", "1.5d", "1y"):
        with pytest.raises(BadInput, match="90d"):
            lifetime_of(wrong)


def test_keys_outlive_the_process(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path)
    key, _ = KeyStore(Records(index)).create("alice", ACME)
    index.close()
    again = EmbeddedIndex(tmp_path)
    try:
        assert KeyStore(Records(again)).get(key.id) == key
    finally:
        again.close()
