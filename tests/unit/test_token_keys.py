"""An issuer's public keys: which are read out of what is found, and when they are read again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from serve.access.tokens.public_keys import MAX_KEYS, PublicKey, Unreadable, from_jwks, from_text
from serve.access.tokens.ring import COOLDOWN_SECONDS, IssuerUnavailable, KeyRing
from tests.token_kit import jwk, pem, private_key

RSA, EC = private_key("RS256", "one"), private_key("ES256")
SECONDS = 300.0


class TestWhatIsFound:
    def test_a_jwks_gives_its_keys_with_their_ids_and_algorithms(self) -> None:
        found = from_jwks({"keys": [jwk(RSA, "a", "RS512"), jwk(EC, "b"), jwk(private_key("EdDSA"))]})
        assert [(each.kid, each.alg) for each in found] == [("a", "RS512"), ("b", None), (None, None)]

    def test_what_cannot_check_signatures_is_left_out(self) -> None:
        others: list[Any] = [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
            {**jwk(RSA, "published"), "d": "AQAB"},
            jwk(RSA, "encrypting", use="enc"),
            {"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"},
            {"kty": "RSA", "n": "***", "e": "AQAB"},
            {"kty": "new"},
            {},
            None,
            "key",
        ]
        assert [each.kid for each in from_jwks({"keys": [*others, jwk(RSA, "good")]})] == ["good"]
        with pytest.raises(Unreadable, match="no public key"):
            from_jwks({"keys": others})

    @pytest.mark.parametrize("found", [None, [], {}, {"keys": {}}, {"keys": []}, "keys"])
    def test_what_is_no_jwks_is_an_error(self, found: Any) -> None:
        with pytest.raises(Unreadable):
            from_jwks(found)

    def test_more_keys_than_are_tried_are_an_error(self) -> None:
        with pytest.raises(Unreadable, match=str(MAX_KEYS)):
            from_jwks({"keys": [jwk(EC)] * (MAX_KEYS + 1)})

    def test_pem_may_hold_several_keys_without_ids(self) -> None:
        found = from_text(f"# rotated in May\n{pem(RSA)}\n{pem(EC)}")
        assert [each.kid for each in found] == [None, None]
        assert [each.suits("any", "RS256") for each in found] == [True, False]

    def test_a_private_key_in_the_file_is_refused_unseen(self) -> None:
        secret = EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        with pytest.raises(Unreadable, match="private key") as refused:
            from_text(secret)
        assert secret.splitlines()[1] not in str(refused.value)

    @pytest.mark.parametrize(
        "text", ["", "{", "no keys", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "[" * 9999, "{}"]
    )
    def test_what_is_neither_is_an_error(self, text: str) -> None:
        with pytest.raises(Unreadable):
            from_text(text)

    def test_a_short_rsa_key_suits_nothing(self) -> None:
        weak = rsa.generate_private_key(65537, 1024).public_key()
        assert not PublicKey(weak).suits(None, "RS256")

    def test_a_key_suits_the_algorithms_of_its_kind_only(self) -> None:
        kinds = {alg: PublicKey(private_key(alg).public_key()) for alg in ("RS256", "ES256", "ES384", "EdDSA")}
        suits = {
            (name, alg)
            for name, key in kinds.items()
            for alg in (*kinds, "PS512", "HS256", "none")
            if key.suits("", alg)
        }
        assert suits == {(name, name) for name in kinds} | {("RS256", "PS512")}


class Source:
    """Stands for the issuer: gives `keys` or, while `down`, an error; counts how often it is read."""

    def __init__(self, *kids: str) -> None:
        self.kids = list(kids)
        self.down = False
        self.reads = 0

    def __call__(self) -> Sequence[PublicKey]:
        self.reads += 1
        if self.down:
            raise Unreadable("down")
        return [PublicKey(RSA.public_key(), kid) for kid in self.kids]


def with_ring(
    source: Source, story: Callable[[Callable[[str], Awaitable[bool]], Callable[[float], None]], Any]
) -> None:
    """Tell a story with `knows(kid)` and `later(seconds)`."""
    now = [1000.0]
    ring = KeyRing(source, SECONDS, lambda: now[0])

    async def knows(kid: str) -> bool:
        found = bool(await ring.suiting(kid, "RS256"))
        while ring._looking:  # what goes on in the background is over before the story does
            await ring._looking
        return found

    def later(seconds: float) -> None:
        now[0] += seconds

    asyncio.run(story(knows, later))


class TestWhenTheyAreRead:
    def test_once_for_many_tokens(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            assert all([await knows("a") for _ in range(5)])
            assert source.reads == 1

        with_ring(source, story)

    def test_once_for_many_that_come_at_the_same_time(self) -> None:
        source = Source("a")
        ring = KeyRing(source, SECONDS)

        async def story() -> None:
            found = await asyncio.gather(*(ring.suiting(kid, "RS256") for kid in "abababab"))
            assert [bool(each) for each in found] == [True, False] * 4

        asyncio.run(story())
        assert source.reads <= 2

    def test_a_new_key_is_found_at_once(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            assert await knows("a")
            source.kids = ["b"]
            later(1)
            assert await knows("b")
            assert not await knows("a")

        with_ring(source, story)

    def test_made_up_ids_ask_the_issuer_at_a_bounded_rate(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            await knows("a")
            for number in range(1000):
                assert not await knows(f"made-up-{number}")
                later(0.1)
            assert source.reads <= 2 + 100 / COOLDOWN_SECONDS

        with_ring(source, story)

    def test_a_new_key_is_found_within_the_cooldown_whatever_else_comes(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            await knows("a")
            await knows("made-up")
            source.kids = ["b"]
            for _ in range(11):
                later(COOLDOWN_SECONDS / 10)
                await knows("made-up")
            assert await knows("b")

        with_ring(source, story)

    def test_old_keys_are_read_again_without_anybody_waiting(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            assert await knows("a")
            source.kids = ["b"]
            later(SECONDS + 1)
            assert await knows("a")
            assert source.reads == 2
            assert not await knows("a")

        with_ring(source, story)

    def test_after_a_long_silence_a_withdrawn_key_opens_nothing(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            assert await knows("a")
            source.kids = ["b"]
            later(2 * SECONDS + 1)
            assert not await knows("a")

        with_ring(source, story)


class TestWhileTheIssuerIsAway:
    def test_known_keys_go_on_and_unknown_ones_are_nobodys_fault(self) -> None:
        source = Source("a")

        async def story(knows: Any, later: Any) -> None:
            assert await knows("a")
            source.down = True
            for _ in range(5):
                later(SECONDS + 1)
                assert await knows("a")
                with pytest.raises(IssuerUnavailable) as raised:
                    await knows("b")
                assert (raised.value.http_status, raised.value.retry_after) == (503, COOLDOWN_SECONDS)

        with_ring(source, story)

    def test_who_is_known_waits_once_at_most(self) -> None:
        source, now, answers = Source("a"), [0.0], threading.Event()
        answers.set()

        def slow() -> Sequence[PublicKey]:
            answers.wait(20)
            return source()

        async def story() -> None:
            ring = KeyRing(slow, SECONDS, lambda: now[0])
            await ring.suiting("a", "RS256")
            source.down = True
            now[0] += 3 * SECONDS
            assert await ring.suiting("a", "RS256")
            answers.clear()
            now[0] += 3 * SECONDS
            assert await ring.suiting("a", "RS256")
            assert ring._looking
            answers.set()
            await ring._looking

        asyncio.run(story())

    def test_it_is_asked_at_a_bounded_rate(self) -> None:
        source = Source()
        source.down = True

        async def story(knows: Any, later: Any) -> None:
            for _ in range(100):
                with pytest.raises(IssuerUnavailable):
                    await knows("a")
                later(1)
            assert source.reads <= 1 + 100 / COOLDOWN_SECONDS

        with_ring(source, story)

    def test_it_is_found_again_once_it_is_back(self) -> None:
        source = Source("a")
        source.down = True

        async def story(knows: Any, later: Any) -> None:
            with pytest.raises(IssuerUnavailable):
                await knows("a")
            source.down = False
            later(COOLDOWN_SECONDS)
            assert await knows("a")
            assert not await knows("b")

        with_ring(source, story)

    def test_a_caller_who_gives_up_takes_nobody_along(self) -> None:
        source = Source("a")
        ring = KeyRing(source, SECONDS)

        async def story() -> None:
            first = asyncio.create_task(ring.suiting("a", "RS256"))
            await asyncio.sleep(0)
            second = asyncio.create_task(ring.suiting("a", "RS256"))
            await asyncio.sleep(0)
            first.cancel()
            assert await second

        asyncio.run(story())
        assert source.reads == 1
