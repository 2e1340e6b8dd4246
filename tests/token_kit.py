"""An identity provider for tests: its keys, tokens signed with them, and a server that publishes the public halves.

with Issuer() as issuer:
    settings = Settings(jwt_issuer=issuer.url, jwt_audience=("librarian",))
    token = issuer.token(tenant="acme")

What is not true of it: it signs in nobody. Every public attribute may be changed while it runs.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUDIENCE = "librarian"
_MAKERS = {
    "RS": lambda: rsa.generate_private_key(65537, 2048),
    "PS": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed": ed25519.Ed25519PrivateKey.generate,
}


@cache
def private_key(alg: str, which: str = "") -> Any:
    """A private key for an algorithm; the same for the same arguments, since RSA keys take long to make."""
    return next(make for prefix, make in _MAKERS.items() if alg.startswith(prefix))()


def pem(key: Any) -> str:
    """A private key's public half as PEM."""
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def jwk(key: Any, kid: str | None = None, alg: str | None = None, **members: Any) -> dict[str, Any]:
    """A private key's public half as a JSON Web Key."""
    kinds = {"RSA": "RS256", "EC": "ES256", "Ed": "EdDSA"}
    name = next(alg for kind, alg in kinds.items() if kind in type(key).__name__)
    found = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    given = {"kid": kid, "alg": alg, "use": "sig", **members}
    return {**found, **{name: value for name, value in given.items() if value is not None}}


def signed(claims: Mapping[str, Any], key: Any, alg: str = "RS256", kid: str | None = None, **header: Any) -> str:
    """A token with exactly these claims."""
    return jwt.encode(dict(claims), key, algorithm=alg, headers={**({"kid": kid} if kid else {}), **header})


def claims(issuer: str, **changed: Any) -> dict[str, Any]:
    """What a good token says; a claim changed to None is left out."""
    now = int(time.time())
    found = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "user-1",
        "iat": now,
        "exp": now + 600,
        "tenant": "acme",
        "groups": ["sre"],
        "scope": "openid librarian:read",
        **changed,
    }
    return {name: value for name, value in found.items() if value is not None}


class Issuer:
    """The provider. `keys` are what it signs with, by kid; `broken` is the status of every answer, or "slow": none
    comes before that is changed."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": private_key("RS256", "one")}
        self.published: Any = None  # instead of the JWKS of the keys
        self.broken: int | str | None = None
        self.requests: list[str] = []
        self.configuration: dict[str, Any] = {}  # what differs in the OpenID configuration
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                issuer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/realms/test"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.broken = None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def jwks(self) -> dict[str, Any]:
        """What it publishes."""
        return self.published or {"keys": [jwk(key, kid) for kid, key in self.keys.items()]}

    def fetches(self) -> int:
        """How often its keys were asked for."""
        return sum(path.endswith("/certs") for path in self.requests)

    def token(self, kid: str = "one", **changed: Any) -> str:
        """A good token, but for what is changed."""
        return signed(claims(self.url, **changed), self.keys[kid], kid=kid)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        while self.broken == "slow":
            time.sleep(0.02)
        if request.path.endswith("/certs"):
            found = self.jwks
        else:
            found = {"issuer": self.url, "jwks_uri": f"{self.url}/certs", **self.configuration}
        body = json.dumps(found).encode()
        request.send_response(self.broken if isinstance(self.broken, int) else 200)
        if self.broken == 302:
            request.send_header("Location", f"{self.url}/certs")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
