"""Which URLs may be fetched: the allow-list, and every way to write an address that is not public."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from ingest.sources import Item, open_source
from ingest.sources.guard import Guard, UrlRefused, is_public, parse_url
from rag.errors import SourceError
from rag.settings import Settings

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "2001:0:53aa:64c:0:fbff:80ff:fffe",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
    "4000::1",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]

# Spellings that a resolver takes for 127.0.0.1, or for what its IPv6 spelling says.
LITERALS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "localhost",
    "LOCALHOST.",
    "169.254.169.254",
    "0xa9fea9fe",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "１２７.0.0.1",
]


def guard(**values: Any) -> Guard:
    return Guard(Settings(**values))


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_that_is_public_is_let_through(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", LITERALS)
def test_a_host_of_this_machine_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(SourceError) as raised:
        read(f"http://{host}/a.md")
    assert "\n" not in str(raised.value)
    assert (
        raised.value.code == "url_refused" or "cannot be found" in str(raised.value) or "is no URL" in str(raised.value)
    )


@pytest.mark.parametrize(
    "answers", [["10.1.2.3"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["fe80::1%eth0"], ["2606:4700::1", "fd00::1"]]
)
def test_a_name_that_stands_for_any_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    resolve(monkeypatch, {"innocent.example": answers})
    with pytest.raises(UrlRefused, match="LIBRARIAN_ALLOW_PRIVATE_URLS"):
        guard().addresses("innocent.example", 443)


def test_a_name_that_stands_for_public_addresses_is_connected_to_these(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"example.org": ["93.184.216.34", "93.184.216.34", "2606:4700::1"]})
    assert guard().addresses("example.org", 443) == ["93.184.216.34", "2606:4700::1"]


def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {})
    with pytest.raises(SourceError, match="cannot be found"):
        guard().addresses("nowhere.example", 443)


def test_private_addresses_are_read_where_that_is_allowed_but_never_groups_of_machines() -> None:
    allowing = guard(allow_private_urls=True)
    assert allowing.addresses("127.0.0.1", 80) == ["127.0.0.1"]
    for address in ("224.0.0.1", "0.0.0.0", "ff02::1"):
        with pytest.raises(UrlRefused):
            allowing.addresses(address, 80)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("example.org", "https://example.org/x"),
        ("example.org", "http://EXAMPLE.org./x"),
        ("Example.ORG", "https://example.org:443/x"),
        ("*.example.org", "https://a.b.example.org/"),
        ("*", "https://anything.example/"),
        ("example.org:8443", "https://example.org:8443/"),
        ("example.org:*", "https://example.org:1234/"),
        ("*:8080", "http://x.example:8080/"),
        ("[2606:4700::1]", "https://[2606:4700::1]/"),
        ("[2606:4700::1]:8443", "https://[2606:4700::1]:8443/"),
        ("xn--bcher-kva.example", "https://bücher.example/"),
    ],
)
def test_an_allowed_url_passes(allowed: str, url: str) -> None:
    guard(allow_urls=("first.example", allowed)).check(parse_url(url))


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("", "https://example.org/"),
        ("example.org", "https://example.org.evil.example/"),
        ("example.org", "https://evil-example.org/"),
        ("example.org", "https://a.example.org/"),
        ("*.example.org", "https://example.org/"),
        ("*.example.org", "https://evilexample.org/"),
        ("example.org", "https://example.org:8443/"),
        ("*", "http://example.org:22/"),
        ("example.org:8443", "https://example.org/"),
        ("example.org", "https://example.org@evil.example/"),
        ("*", "https://user:secret@example.org/"),
        ("*", "ftp://example.org/"),
        ("*", "https:///x"),
    ],
)
def test_any_other_url_is_refused_without_a_word_of_its_secrets(allowed: str, url: str) -> None:
    with pytest.raises(SourceError, match="refused") as raised:
        guard(allow_urls=(allowed,) if allowed else ()).check(parse_url(url))
    assert "secret" not in str(raised.value)


def test_a_refusal_says_how_to_allow() -> None:
    with pytest.raises(SourceError, match=r"LIBRARIAN_ALLOW_URLS=example.org\.$"):
        open_source("https://example.org/a.md", Settings())
    with pytest.raises(SourceError, match=r"LIBRARIAN_ALLOW_URLS=example.org:8443\.$"):
        open_source("git+https://example.org:8443/a.git", Settings())


def read(url: str) -> bytes:
    """What the URL holds, where any host is allowed."""
    source = open_source(url, Settings(allow_urls=("*",)))
    item = next(iter(source.items()))
    assert isinstance(item, Item)
    return source.read(item, 1000)


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> None:
    """Stands for a name server."""

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
