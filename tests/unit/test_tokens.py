"""Tokens of an issuer: which are taken, whose they are, and what those that are not taken say."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.schema import Scope
from rag.settings import Settings
from serve.access.caller import Caller
from serve.access.tokens import KeyRing, TokenReader
from serve.access.tokens.public_keys import PublicKey, from_jwks
from serve.access.tokens.verifying import MAX_TOKEN, TokenRefused
from tests.token_kit import AUDIENCE, claims, jwk, pem, private_key, signed

ISSUER = "https://idp.example.org/realms/test"
RSA = private_key("RS256", "one")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def settings(**values: Any) -> Settings:
    return Settings(**{"jwt_issuer": ISSUER, "jwt_audience": (AUDIENCE, "other-name"), **values})


def public_keys(**members: Any) -> list[PublicKey]:
    return from_jwks({"keys": [jwk(RSA, "one", **members)]})


def read(token: str, keys: list[PublicKey] | None = None, **values: Any) -> Caller:
    ring = KeyRing(lambda: public_keys() if keys is None else keys, 300)
    return asyncio.run(TokenReader(settings(**values), ring).caller(token))


def token(**changed: Any) -> str:
    return signed(claims(ISSUER, **changed), RSA, kid="one")


def refusal(given: str, keys: list[PublicKey] | None = None, **values: Any) -> str:
    with pytest.raises(TokenRefused) as refused:
        read(given, keys, **values)
    assert (refused.value.http_status, refused.value.code) == (401, "invalid_token")
    return str(refused.value)


class TestWhoseItIs:
    def test_tenant_groups_and_permissions_come_from_its_claims(self) -> None:
        caller = read(token(groups=["sre", "dev"], scope="openid librarian:read librarian:write"))
        assert caller.scope == Scope("acme", frozenset({"sre", "dev"}))
        assert caller.permissions == {"read", "write"}

    def test_the_id_is_that_of_the_subject_and_does_not_say_who_it_is(self) -> None:
        first, again, other = (read(token(sub=each, iat=at)) for each, at in (("a@b.c", 1), ("a@b.c", 2), ("d", 1)))
        assert first.id == again.id != other.id
        assert first.id.startswith("jwt:")
        assert "a@b.c" not in first.id

    @pytest.mark.parametrize(
        ("name", "more"),
        [
            ("org.id", {"org": {"id": "acme"}}),
            ("https://example.org/tenant", {"https://example.org/tenant": "acme"}),
            ("org.id", {"org.id": "acme", "org": {"id": "rival"}}),
        ],
    )
    def test_a_claim_is_found_by_its_name_or_along_its_dots(self, name: str, more: dict[str, Any]) -> None:
        assert read(token(tenant=None, **more), jwt_tenant_claim=name).scope.tenant == "acme"

    def test_a_token_without_a_tenant_is_refused_unless_a_default_is_set(self) -> None:
        assert "tenant" in refusal(token(tenant=None))
        assert read(token(tenant=None), jwt_default_tenant="everyone").scope.tenant == "everyone"
        assert read(token(), jwt_default_tenant="everyone").scope.tenant == "acme"

    @pytest.mark.parametrize(
        "tenant", ["librarian:keys", "librarian:", "", " ", 7, ["acme"], {"a": "b"}, True, "a\nb", "x" * 1001]
    )
    def test_no_token_has_a_tenant_that_no_caller_may_have(self, tenant: Any) -> None:
        refusal(token(tenant=tenant))
        refusal(token(tenant=tenant), jwt_default_tenant="everyone")

    @pytest.mark.parametrize(("given", "groups"), [(None, ()), ([], ()), ("sre", ("sre",)), (["a", "b", "a"], "ab")])
    def test_groups_are_a_list_or_one_name(self, given: Any, groups: Any) -> None:
        assert read(token(groups=given)).scope.groups == frozenset(groups)

    @pytest.mark.parametrize(
        "groups", [{"sre": True}, [1], [["sre"]], 5, [""], ["a\nb"], [str(n) for n in range(1001)]]
    )
    def test_what_is_no_list_of_groups_is_refused(self, groups: Any) -> None:
        refusal(token(groups=groups))

    @pytest.mark.parametrize(
        ("scope", "permissions"),
        [
            (None, set()),
            ("read write admin", set()),
            ("librarian:reader xlibrarian:read", set()),
            ("librarian:admin", {"admin"}),
            (["librarian:read", "email"], {"read"}),
            ([1, None, "librarian:write"], {"write"}),
            ({"librarian:admin": 1}, set()),
            (3, set()),
        ],
    )
    def test_only_scopes_that_are_meant_for_librarian_permit_anything(self, scope: Any, permissions: set[str]) -> None:
        assert read(token(scope=scope)).permissions == permissions

    def test_what_tokens_without_such_scopes_permit_is_a_setting(self) -> None:
        assert read(token(scope="email"), jwt_default_permissions="read").permissions == {"read"}
        assert read(token(scope="librarian:write"), jwt_default_permissions="read").permissions == {"write"}

    def test_claims_and_prefix_are_settings(self) -> None:
        found = read(
            token(roles={"app": ["kb.read"]}, teams=["x"]),
            jwt_scopes_claim="roles.app",
            jwt_scope_prefix="kb.",
            jwt_groups_claim="teams",
        )
        assert (found.permissions, found.scope.groups) == ({"read"}, {"x"})


class TestWhatIsChecked:
    def test_it_expires_with_some_leeway(self) -> None:
        now = int(time.time())
        assert read(token(exp=now - 10))
        assert "expired" in refusal(token(exp=now - 10), jwt_leeway=0)
        assert "expired" in refusal(token(exp=now - 100))

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_one_from_the_future_is_not_valid_yet(self, claim: str) -> None:
        assert "not valid yet" in refusal(token(**{claim: int(time.time()) + 100}))

    @pytest.mark.parametrize("aud", ["another", ["another", "third"], "LIBRARIAN", "librarian/", 5, []])
    def test_one_for_another_service_is_refused(self, aud: Any) -> None:
        refusal(token(aud=aud))

    @pytest.mark.parametrize("aud", ["other-name", ["x", "librarian"]])
    def test_one_audience_of_several_is_enough(self, aud: Any) -> None:
        assert read(token(aud=aud))

    @pytest.mark.parametrize(
        "issuer", ["https://idp.example.org/realms/test/", "https://evil.example", "", 5, [ISSUER]]
    )
    def test_one_of_another_issuer_is_refused(self, issuer: Any) -> None:
        refusal(_raw(iss=issuer))

    @pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
    def test_a_claim_that_is_needed_is_missed(self, claim: str) -> None:
        assert f"no claim {claim}" in refusal(token(**{claim: None}))

    @pytest.mark.parametrize("exp", [float("inf"), float("nan"), "soon", {}, None, "9" * 5000])
    def test_a_time_that_is_none_is_refused(self, exp: Any) -> None:
        refusal(_raw(exp=exp))

    @pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
    def test_each_algorithm_of_the_default_is_taken(self, alg: str) -> None:
        key = private_key(alg)
        good = signed(claims(ISSUER), key, alg, "k")
        assert read(good, from_jwks({"keys": [jwk(key, "k")]})).scope.tenant == "acme"

    def test_further_algorithms_are_taken_where_the_settings_say_so(self) -> None:
        key = private_key("ES384")
        keys, good = from_jwks({"keys": [jwk(key, "k")]}), signed(claims(ISSUER), key, "ES384", "k")
        assert "algorithm" in refusal(good, keys)
        assert read(good, keys, jwt_algorithms="ES384,RS256")

    def test_a_signature_by_another_key_is_refused_also_under_a_known_id(self) -> None:
        stranger = private_key("RS256", "stranger")
        for kid in ("one", None):
            assert "not signed by" in refusal(signed(claims(ISSUER), stranger, kid=kid))

    def test_a_key_for_one_algorithm_checks_no_other(self) -> None:
        assert read(token(), public_keys(alg="RS256"))
        refusal(token(), public_keys(alg="PS256"))
        refusal(signed(claims(ISSUER), RSA, "PS256", "one"), public_keys(alg="RS256"))

    def test_a_token_without_a_key_id_is_tried_with_each_key(self) -> None:
        keys = from_jwks({"keys": [jwk(private_key("RS256", "other"), "x"), jwk(RSA, "one")]})
        assert read(signed(claims(ISSUER), RSA), keys)


class TestConfusion:
    """RFC 8725: what libraries were fooled by."""

    @pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
    def test_no_signature_is_no_signature(self, alg: str) -> None:
        header, body = _part({"alg": alg, "kid": "one"}), _part(claims(ISSUER))
        for signature in ("", "AAAA", token().rpartition(".")[2]):
            refusal(f"{header}.{body}.{signature}")

    @pytest.mark.parametrize("secret", [pem(RSA), pem(RSA).strip(), json.dumps(jwk(RSA, "one")), ""])
    @pytest.mark.parametrize("alg", ["HS256", "HS512"])
    def test_the_public_key_is_no_shared_secret(self, secret: str, alg: str) -> None:
        head = f"{_part({'alg': alg, 'kid': 'one', 'typ': 'JWT'})}.{_part(claims(ISSUER))}"
        made = hmac.new(secret.encode(), head.encode(), f"sha{alg[2:]}").digest()
        assert "algorithm" in refusal(f"{head}.{_text(made)}")

    def test_shared_secrets_cannot_even_be_set(self) -> None:
        for alg in ("HS256", "none", "RS256,HS512", ","):
            with pytest.raises(ValueError, match="one of RS256"):
                settings(jwt_algorithms=alg)

    def test_a_key_that_the_token_brings_along_is_not_used(self) -> None:
        mine = private_key("RS256", "stranger")
        for header in (
            {"jwk": jwk(mine, "mine")},
            {"jku": "https://evil.example/jwks"},
            {"x5u": "https://evil.example"},
        ):
            refusal(signed(claims(ISSUER), mine, kid="mine", **header))

    @pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"kid": 5}, {"kid": ["one"]}])
    def test_a_header_that_is_not_understood_is_refused(self, header: dict[str, Any]) -> None:
        head, body = _part({"alg": "RS256", "kid": "one", **header}), _part(claims(ISSUER))
        made = jwt.get_algorithm_by_name("RS256").sign(f"{head}.{body}".encode(), RSA)
        refusal(f"{head}.{body}.{_text(made)}")

    def test_a_changed_claim_breaks_the_signature(self) -> None:
        head, _, signature = token().split(".")
        refusal(f"{head}.{_part(claims(ISSUER, tenant='rival'))}.{signature}")


class TestWhatIsNoToken:
    @pytest.mark.parametrize("text", ["a", "a.b.c", "....", "lib", "{}", "e30.e30.e30", "W10.e30.e30", "a" * 5000])
    def test_it_is_refused(self, text: str) -> None:
        refusal(text)

    def test_a_huge_one_is_refused_unread(self) -> None:
        assert "longer" in refusal(token(filler="x" * MAX_TOKEN))

    @given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=200))
    def test_any_header_text_is_refused_and_not_repeated(self, text: str) -> None:
        said = refusal(text)
        assert len(text) < 30 or text not in said

    @given(ANY_JSON, st.sampled_from(["exp", "iat", "nbf", "sub", "aud", "iss", "tenant", "groups", "scope", "jti"]))
    def test_any_claim_gives_a_caller_or_a_refusal(self, value: Any, claim: str) -> None:
        with suppress(TokenRefused):
            scope = read(_raw(**{claim: value})).scope
            assert scope.tenant.isprintable()
            assert not scope.tenant.startswith("librarian:")
            assert scope.groups is not None

    def test_a_signed_body_that_is_no_object_is_refused(self) -> None:
        for body in (b"[]", b"5", b"not json", b"[" * 10_000, b"\xff"):
            head = f"{_part({'alg': 'RS256', 'kid': 'one'})}.{_text(body)}"
            made = jwt.get_algorithm_by_name("RS256").sign(head.encode(), RSA)
            refusal(f"{head}.{_text(made)}")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value: Any) -> str:
    return _text(json.dumps(value).encode())


def _raw(**changed: Any) -> str:
    """A token that says what the library would not write."""
    head = f"{_part({'alg': 'RS256', 'kid': 'one'})}.{_part({**claims(ISSUER), **changed})}"
    return f"{head}.{_text(jwt.get_algorithm_by_name('RS256').sign(head.encode(), RSA))}"
