"""Connections to a model's server: what is read and written, and an error of httpx2 for each way it can fail."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from rag.connections import DirectTransport, direct_transport
from rag.sockets import BUFFER

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@asynccontextmanager
async def server(answer: Serve, context: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """A raw TCP server; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def client(seconds: float = 20, context: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=DirectTransport(context), timeout=seconds)


async def asked(reader: asyncio.StreamReader) -> bytes:
    """One request: its head, and its body where it says how long it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(each[15:]) for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers "hello" as often as it is asked."""
    while True:
        await asked(reader)
        writer.write(HEAD % 5 + b"hello")


def test_a_connection_is_used_again() -> None:
    opened = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await hello(reader, writer)

    async def run() -> list[str]:
        async with server(count) as port, client() as http:
            return [(await http.get(f"http://127.0.0.1:{port}/")).text for _ in range(3)]

    assert asyncio.run(run()) == ["hello"] * 3
    assert opened == 1


def test_one_that_the_server_closed_meanwhile_is_not() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD % 5 + b"hello")
        await writer.drain()

    async def run() -> list[str]:
        async with server(once) as port, client() as http:
            return [(await http.get(f"http://127.0.0.1:{port}/")).text for _ in range(3)]

    assert asyncio.run(run()) == ["hello"] * 3


def test_a_large_body_goes_both_ways_whole() -> None:
    size = 20 * BUFFER

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = (await asked(reader)).partition(b"\r\n\r\n")[2]
        writer.write(HEAD % len(body) + body)
        await writer.drain()

    async def run() -> bytes:
        async with server(echo) as port, client() as http:
            return (await http.post(f"http://127.0.0.1:{port}/", content=bytes(range(256)) * (size // 256))).content

    assert asyncio.run(run()) == bytes(range(256)) * (size // 256)


def test_a_reader_that_stops_stops_the_server() -> None:
    async def run() -> bool:
        stuck = asyncio.Event()

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asked(reader)
            writer.write(HEAD % (200 * 1024 * 1024))
            for _ in range(200):
                writer.write(bytes(1024 * 1024))
                try:
                    async with asyncio.timeout(1):
                        await writer.drain()
                except TimeoutError:
                    stuck.set()
                    raise ConnectionError from None

        async with server(pour) as port, client() as http, http.stream("GET", f"http://127.0.0.1:{port}/") as response:
            parts = response.aiter_raw()
            await anext(parts)
            async with asyncio.timeout(20):
                await stuck.wait()
            return stuck.is_set()

    assert asyncio.run(run())


@pytest.mark.parametrize("head", [b"", HEAD % 100, HEAD % 100 + b"some"])
def test_a_server_that_is_silent_is_a_read_timeout(head: bytes) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head)
        await reader.read()

    async def run() -> None:
        async with server(silent) as port, client(0.1) as http:
            with pytest.raises(httpx2.ReadTimeout):
                await http.get(f"http://127.0.0.1:{port}/")

    asyncio.run(run())


def test_the_timeout_is_of_each_read_not_of_all() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD % 20)
        for _ in range(20):
            await asyncio.sleep(0.05)
            writer.write(b"x")

    async def run() -> str:
        async with server(slowly) as port, client(0.8) as http:
            return (await http.get(f"http://127.0.0.1:{port}/")).text

    assert asyncio.run(run()) == "x" * 20


def test_each_read_has_its_own_timeout_on_a_kept_connection_too() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        await asyncio.sleep(0)
        writer.write(HEAD % 5 + b"hello")
        await asked(reader)
        await reader.read()

    async def run() -> None:
        async with server(once) as port, client() as http:
            url = f"http://127.0.0.1:{port}/"
            await http.get(url, timeout=60)
            with pytest.raises(httpx2.ReadTimeout):
                await http.get(url, timeout=0.1)

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("said", [b"", HEAD % 100 + b"some"])
def test_one_that_breaks_off_is_a_protocol_error(said: bytes) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(said)

    async def run() -> None:
        async with server(leave) as port, client() as http:
            with pytest.raises(httpx2.RemoteProtocolError):
                await http.get(f"http://127.0.0.1:{port}/")

    asyncio.run(run())


def test_one_that_resets_the_connection_is_a_read_error() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER of 0 s: closing resets
        writer.transport.abort()

    async def run() -> None:
        async with server(reset) as port, client() as http:
            with pytest.raises(httpx2.ReadError):
                await http.get(f"http://127.0.0.1:{port}/")

    asyncio.run(run())


def test_nobody_listening_is_a_connect_error() -> None:
    async def run() -> None:
        async with server(hello) as port:
            pass
        async with client() as http:
            with pytest.raises(httpx2.ConnectError):
                await http.get(f"http://127.0.0.1:{port}/")

    asyncio.run(run())


def test_nobody_answering_the_connection_is_a_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async def never(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
        async with client(0.1) as http:
            with pytest.raises(httpx2.ConnectTimeout):
                await http.get("http://127.0.0.1:9/")

    asyncio.run(run())


def test_leaving_a_stream_closes_its_connection() -> None:
    async def run() -> bytes:
        left: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asked(reader)
            writer.write(HEAD % 100 + b"some")
            try:
                left.set_result(await reader.read())
            except ConnectionError:
                left.set_result(b"")

        async with server(watch) as port, client() as http:
            async with http.stream("GET", f"http://127.0.0.1:{port}/") as response:
                assert await anext(response.aiter_raw()) == b"some"
            async with asyncio.timeout(10):
                return await left

    assert asyncio.run(run()) == b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("TLS is not tested: there is no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "pair.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command = [openssl, *options.split(), "-keyout", str(file), "-out", str(file.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


def test_over_tls_a_known_certificate_is_trusted_and_an_unknown_one_is_a_connect_error(certificate: Path) -> None:
    async def run() -> str:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate)
        knowing = ssl.create_default_context(cafile=str(certificate.with_suffix(".crt")))
        async with server(hello, serving) as port:
            url = f"https://localhost:{port}/"
            async with client() as stranger:
                with pytest.raises(httpx2.ConnectError):
                    await stranger.get(url)
            async with client(context=knowing) as http:
                return (await http.get(url)).text + (await http.get(url)).text

    assert asyncio.run(run()) == "hellohello"


@pytest.mark.parametrize(("variable", "direct"), [("HTTPS_PROXY", False), ("ALL_PROXY", False), ("NO_PROXY", True)])
def test_where_the_environment_names_a_proxy_httpx2_finds_its_own_way(
    monkeypatch: pytest.MonkeyPatch, variable: str, direct: bool
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, "http://proxy.example.org:3128")
    assert (direct_transport(trust_env=True) is not None) == direct
    assert direct_transport(trust_env=False) is not None
