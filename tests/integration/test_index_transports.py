"""The server drivers over gRPC and over TLS.

No Qdrant server binary is needed: `FakePoints` stands for the gRPC service of one, with the messages of qdrant_client's
own protocol files, and knows only how to count; `FakeServer` stands for its HTTP side. What is tested is the way there:
ports, certificates, the key, and the tenant's filter in what is asked.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest
from qdrant_client import grpc as qdrant

from rag.errors import IndexUnavailable
from rag.index import open_async_index, open_index
from rag.schema import Scope
from rag.settings import Settings
from tests.integration.test_index_server import FakeServer

SCOPE = Scope("acme")


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for localhost."""

    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("TLS is not tested: there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
        f"subjectAltName=DNS:localhost -keyout {made.key} -out {made.certificate}".split(),
        check=True,
        capture_output=True,
    )
    return made


@dataclass
class FakePoints(qdrant.PointsServicer):  # type: ignore[misc]
    """Counts seven points, whatever is asked."""

    asked: list[tuple[qdrant.CountPoints, dict[str, str]]] = field(default_factory=list)

    def Count(self, request: qdrant.CountPoints, context: grpc.ServicerContext) -> qdrant.CountResponse:  # noqa: N802
        self.asked.append((request, dict(context.invocation_metadata())))
        return qdrant.CountResponse(result=qdrant.CountResult(count=7))


@pytest.fixture
def points() -> FakePoints:
    return FakePoints()


@pytest.fixture
def serve(points: FakePoints) -> Iterator[Callable[[grpc.ServerCredentials | None], int]]:
    """`serve(credentials)` starts the service and gives its port."""
    server = grpc.server(ThreadPoolExecutor(2))
    qdrant.add_PointsServicer_to_server(points, server)

    def start(credentials: grpc.ServerCredentials | None = None) -> int:
        address = "localhost:0"
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        server.start()
        return int(port)

    yield start
    server.stop(None)


def counts(settings: Settings) -> list[int]:
    """What each driver counts."""

    async def count() -> int:
        index = open_async_index(settings)
        try:
            return await index.count("docs", SCOPE)
        finally:
            await index.close()

    index = open_index(settings)
    try:
        return [index.count("docs", SCOPE), asyncio.run(count())]
    finally:
        index.close()


def test_grpc_is_asked_on_its_own_port_with_the_tenants_filter(serve: Callable[..., int], points: FakePoints) -> None:
    settings = Settings(qdrant_url="http://localhost:1", qdrant_grpc=True, qdrant_grpc_port=serve(), qdrant_timeout=20)
    assert counts(settings) == [7, 7]
    for request, _ in points.asked:
        assert request.collection_name == "docs"
        assert "acme" in str(request.filter)


def test_grpc_over_tls_trusts_the_given_certificates_and_carries_the_key(
    serve: Callable[..., int], points: FakePoints, certificate: Certificate
) -> None:
    pair = (certificate.key.read_bytes(), certificate.certificate.read_bytes())
    settings = Settings(
        qdrant_url="https://localhost:1",
        qdrant_grpc=True,
        qdrant_grpc_port=serve(grpc.ssl_server_credentials([pair])),
        qdrant_ca_file=certificate.certificate,
        qdrant_api_key="secret-key",
        qdrant_timeout=20,
    )
    assert counts(settings) == [7, 7]
    assert [metadata["api-key"] for _, metadata in points.asked] == ["secret-key"] * 2


@pytest.fixture
def https(certificate: Certificate) -> Iterator[FakeServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = FakeServer(context)
    server.answer = lambda path: (200, b'{"time": 0.0, "status": "ok", "result": {"count": 7}}')
    yield server
    server.stop()


def test_https_trusts_the_given_certificates_and_carries_the_key(https: FakeServer, certificate: Certificate) -> None:
    settings = Settings(qdrant_url=https.url, qdrant_ca_file=certificate.certificate, qdrant_api_key="secret-key")
    assert counts(settings) == [7, 7]
    assert {headers["api-key"] for _, _, headers, _ in https.requests} == {"secret-key"}
    assert all(b"acme" in body for *_, body in https.requests)


def test_https_with_a_certificate_that_nobody_vouches_for_is_refused(https: FakeServer) -> None:
    with pytest.raises(IndexUnavailable, match="certificate"):
        open_index(Settings(qdrant_url=https.url)).count("docs", SCOPE)
    assert https.requests == []
