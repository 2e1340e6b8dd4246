"""Public keys of an issuer, out of a JWKS (RFC 7517) or PEM. Only what can check a signature is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

MAX_KEYS = 100
MIN_RSA_BITS = 2048

_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)

Material = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey


class Unreadable(Exception):
    """Keys cannot be read: from there, or of that form. The message is one line for the log, not for callers."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, with the id (`kid`) and the one algorithm (`alg`) that its issuer gave it, if any."""

    material: Material
    kid: str | None = None
    alg: str | None = None

    def suits(self, kid: str | None, alg: str) -> bool:
        """Whether it may have made a signature by `alg` that names the key `kid` (None: names none)."""
        if self.kid is not None and kid is not None and self.kid != kid:
            return False
        return self.alg in {None, alg} and _kind_suits(self.material, alg)


def _kind_suits(material: Material, alg: str) -> bool:
    """Whether the algorithm is one of that kind of key: a key must not be taken for one of another kind."""
    if isinstance(material, RSAPublicKey):
        return alg[:2] in {"RS", "PS"} and material.key_size >= MIN_RSA_BITS
    if isinstance(material, EllipticCurvePublicKey):
        return _CURVES.get(alg) == material.curve.name
    return alg == "EdDSA"


def from_text(text: str) -> list[PublicKey]:
    """The keys of a file. Raises Unreadable."""
    if not text.lstrip().startswith("{"):
        return _some(_from_pem(text))
    try:
        return from_jwks(json.loads(text))
    except (ValueError, RecursionError):
        raise Unreadable("it is neither JSON nor PEM") from None


def from_jwks(found: Any) -> list[PublicKey]:
    """The keys of a JWKS that check signatures; what is of another kind is left out. Raises Unreadable."""
    keys = found.get("keys") if isinstance(found, Mapping) else None
    if not isinstance(keys, list):
        raise Unreadable("it is no JWKS: an object with a list `keys`")
    return _some(key for each in keys if (key := _from_jwk(each)))


def _some(found: Iterable[PublicKey]) -> list[PublicKey]:
    keys = list(found)
    if not keys:
        raise Unreadable("no public key in it can check signatures")
    if len(keys) > MAX_KEYS:
        raise Unreadable(f"it has {len(keys)} keys, more than the {MAX_KEYS} that are tried")
    return keys


def _from_jwk(data: Any) -> PublicKey | None:
    if not isinstance(data, Mapping) or data.get("use", "sig") != "sig" or "d" in data or "k" in data:
        return None  # for encryption; or secret, and known to everybody by now
    kid, alg = data.get("kid"), data.get("alg")
    try:
        material = jwt.PyJWK({name: value for name, value in data.items() if name != "alg"}).key
    except (jwt.PyJWTError, ValueError, TypeError):  # a kind of key that is not known here
        return None
    if not isinstance(material, Material):
        return None
    return PublicKey(material, kid if isinstance(kid, str) else None, alg if isinstance(alg, str) else None)


def _from_pem(text: str) -> Iterator[PublicKey]:
    for block in _PEM.finditer(text):
        if "PRIVATE" in block[1]:
            raise Unreadable("there is a private key in it: put only the public ones here")
        try:
            if block[1] == "CERTIFICATE":
                material: Any = load_pem_x509_certificate(block[0].encode()).public_key()
            else:
                material = load_pem_public_key(block[0].encode())
        except (ValueError, TypeError) as error:
            raise Unreadable(f"a block of PEM in it cannot be read ({type(error).__name__})") from None
        if isinstance(material, Material):
            yield PublicKey(material)
