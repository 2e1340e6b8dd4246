"""API keys: made here, shown once, kept only as hashes among the service's records, so that all replicas share them.

A key is `lib_ID_SECRET`. The secret is 256 random bits, so its SHA-256 alone is kept: a slow hash guards passwords,
which people choose from few; nobody can try 2^256 secrets however quick the hash, and each request would pay for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from rag.caller_limits import UNSAID, CallerLimits, limits_of
from rag.errors import BadInput, LibrarianError
from rag.records import Records
from rag.schema import Scope

Permission = Literal["read", "write", "admin"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
PREFIX = "lib_"
MAX_LIMIT = 10**12

# Whatever its tenant, a key must be found by its id alone. No caller may have a tenant of this form.
RESERVED = "librarian:"
KEYS_TENANT = f"{RESERVED}keys"

_KEY = "key"
_FORM = re.compile(r"lib_([0-9a-f]{16})_([0-9a-f]{64})")
_MAX_NAME = 100
_MAX_GROUPS = 1000


class KeyNotFound(LibrarianError):
    """No key of that id, or none that the caller may see."""

    code = "key_not_found"
    exit_code = 4
    http_status = 404


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. `digest` is the SHA-256 of its secret in hexadecimal; times are Unix seconds."""

    id: str
    name: str
    tenant: str
    groups: tuple[str, ...]
    permissions: tuple[Permission, ...]
    created: float
    digest: str
    expires: float | None = None
    limits: CallerLimits = UNSAID

    @property
    def scope(self) -> Scope:
        """Whose data it opens."""
        return Scope(self.tenant, frozenset(self.groups))

    def opens(self, token: str, now: float) -> bool:
        """Whether the token is this key, and not expired. Takes as long for every wrong secret."""
        found = _FORM.fullmatch(token)
        digest = hashlib.sha256(found[2].encode()).hexdigest() if found else ""
        return hmac.compare_digest(digest, self.digest) and (self.expires is None or now < self.expires)


class KeyStore:
    """The keys of every tenant, shared through Qdrant. Safe to call from many threads.

    Raises IndexUnavailable where Qdrant cannot be reached.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._scope = Scope.owner(KEYS_TENANT)
        self._clock = clock

    def create(
        self,
        name: str,
        scope: Scope,
        permissions: Sequence[str] = ("read",),
        lifetime: float | None = None,
        limits: CallerLimits = UNSAID,
    ) -> tuple[Key, str]:
        """A new key for `scope`, and the token, which is kept nowhere. `lifetime` is in seconds. Raises BadInput."""
        check_key(name, scope, permissions, lifetime, limits)
        identity, secret = secrets.token_hex(8), secrets.token_hex(32)
        now = round(self._clock(), 3)  # milliseconds: the engine's JSON may change the last bit of a longer number
        key = Key(
            identity,
            name,
            scope.tenant,
            tuple(sorted(scope.groups or ())),
            _permissions(permissions),
            now,
            hashlib.sha256(secret.encode()).hexdigest(),
            None if lifetime is None else round(now + lifetime, 3),
            limits,
        )
        self._records.put(_KEY, identity, asdict(key), self._scope)
        return key, f"{PREFIX}{identity}_{secret}"

    def get(self, identity: str) -> Key | None:
        """The key of an id; None where there is none (any more)."""
        data = self._records.get(_KEY, identity, self._scope)
        return None if data is None else _from_record(data)

    def list(self, tenant: str | None = None) -> list[Key]:
        """The keys of a tenant (None: of all), oldest first."""
        found = (_from_record(data) for _, data in self._records.scan(_KEY, self._scope))
        return sorted((each for each in found if tenant in {None, each.tenant}), key=lambda each: each.created)

    def revoke(self, identity: str, tenant: str | None = None) -> Key:
        """Delete a key (of that tenant). Raises KeyNotFound."""
        key = self.get(identity)
        if key is None or tenant not in {None, key.tenant}:
            raise KeyNotFound(f"there is no key '{identity[:64]}': `librarian keys list` shows those there are.")
        self._records.delete(_KEY, [identity], self._scope)
        return key


def check_key(
    name: str, scope: Scope, permissions: Sequence[str], lifetime: float | None, limits: CallerLimits
) -> None:
    """Raises BadInput where there can be no such key."""
    _checked(name, "the key's name", _MAX_NAME)
    scope_of(scope.tenant, scope.groups or ())
    _permissions(permissions)
    if lifetime is not None and lifetime <= 0:
        raise BadInput("a key must live for more than 0 seconds.")
    for limit, value in asdict(limits).items():
        if value is not None and not 0 <= value <= MAX_LIMIT:
            raise BadInput(f"{limit} must be 0 (no limit) to {MAX_LIMIT}, not {value}.")


def scope_of(tenant: str, groups: Iterable[str]) -> Scope:
    """The scope of a caller of that tenant and those groups. Raises BadInput where no caller may have it."""
    found = frozenset(_checked(each, "a group", 1000) for each in groups)
    if _checked(tenant, "the tenant", 1000).startswith(RESERVED):
        raise BadInput(f"tenants that begin with '{RESERVED}' are the service's own.")
    if len(found) > _MAX_GROUPS:
        raise BadInput(f"a caller may have {_MAX_GROUPS} groups, not {len(found)}.")
    return Scope(tenant, found)


def id_of(token: str) -> str | None:
    """The id in a token; None where it has not the form of a key."""
    found = _FORM.fullmatch(token)
    return found[1] if found else None


def lifetime_of(text: str) -> float:
    """Seconds of "90d", "12h", "30m" or "45s". Raises BadInput."""
    found = re.fullmatch(r"([0-9]{1,6})([dhms])", text.strip())
    if not found or int(found[1]) == 0:
        raise BadInput(f"'{text[:40]}' is no time: write it as 90d, 12h, 30m or 45s.")
    return int(found[1]) * {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}[found[2]]


def shown(key: Key) -> dict[str, Any]:
    """What people may see of a key: all but the hash of its secret."""
    facts = asdict(replace(key, digest=""))
    del facts["digest"]
    return {**facts, "groups": list(key.groups), "permissions": list(key.permissions)}


def _permissions(given: Sequence[str]) -> tuple[Permission, ...]:
    unknown = [each for each in given if each not in PERMISSIONS]
    if unknown or not given:
        raise BadInput(f"a key's permissions are of {', '.join(PERMISSIONS)}, not '{', '.join(unknown)[:100]}'.")
    return tuple(each for each in PERMISSIONS if each in given)


def _checked(text: str, what: str, longest: int) -> str:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise BadInput(f"{what} must be 1 to {longest} printable characters.")
    return text


def _from_record(data: Mapping[str, Any]) -> Key:
    known = {name: data[name] for name in Key.__dataclass_fields__ if name in data}  # one written by a later version
    limits = limits_of(known.get("limits") or {})
    lists = {name: tuple(known[name]) for name in ("groups", "permissions")}
    return Key(**{**known, **lists, "limits": limits})
