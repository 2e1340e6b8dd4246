"""What may be fetched from the web: which hosts, and which addresses their names may stand for.

A document's URL, a redirect or a name server is anybody's word. So the host must be one that people allowed, its
addresses are looked up once, all of them must be public, and the connection goes to one of these very addresses.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import httpx2

from rag.errors import SourceError

if TYPE_CHECKING:
    from rag.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
# Beside what the ipaddress module calls not global (RFC 6890): protocol assignments, and Azure's metadata host.
_REFUSED = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that is given out to the public (RFC 4291, 2.4)
# Networks of IPv6 whose addresses hold one of IPv4, and at which bit it starts (RFC 6052, RFC 3056, RFC 4291).
_HOLDS_IPV4 = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 96),
    (ipaddress.IPv6Network("2002::/16"), 16),
    (ipaddress.IPv6Network("::/96"), 96),
)


class UrlRefused(SourceError):
    """The URL may not be fetched."""

    code = "url_refused"


class Guard:
    """Holds what the settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = tuple(each.lower().rstrip("/") for each in settings.allow_urls)
        self._private = settings.allow_private_urls

    def check(self, url: httpx2.URL) -> None:
        """Raises UrlRefused unless scheme, host and port are allowed."""
        if url.scheme not in _PORTS:
            raise UrlRefused(f"'{shown_url(url)}' is refused: only http:// and https:// are read.")
        if url.userinfo:
            raise UrlRefused(f"'{shown_url(url)}' is refused: a URL with a user or password is not read.")
        host = host_of(url)
        if not host:
            raise UrlRefused(f"'{shown_url(url)}' is refused: it names no host.")
        port = port_of(url)
        usual = port in _PORTS.values()
        if any(_allows(each, host, port, usual) for each in self._allowed):
            return
        name = f"[{host}]" if ":" in host else host
        entry = name if usual else f"{name}:{port}"
        raise UrlRefused(f"'{shown_url(url)}' is refused: allow its host with LIBRARIAN_ALLOW_URLS={entry}.")

    def addresses(self, host: str, port: int) -> list[str]:
        """The host's addresses, which are to be connected to. Raises UrlRefused where one of them is not public."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise SourceError(f"the host '{host}' cannot be found: {reason}.") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        for each in addresses:
            if not self._may_connect(each):
                raise UrlRefused(
                    f"the host '{host}' is refused: its address {each} is not a public one "
                    "(LIBRARIAN_ALLOW_PRIVATE_URLS=true would allow private ones)."
                )
        if not addresses:
            raise SourceError(f"the host '{host}' cannot be found: it has no address.")
        return addresses

    def _may_connect(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if self._private:
            return not (address.is_multicast or address.is_unspecified)
        return is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet; of IPv6 that holds an IPv4 address, that one counts too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or _inner(address)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address not in _UNICAST:
            return False
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not (address.is_loopback or address.is_link_local or address.is_private)
        and not any(address in network for network in _REFUSED)
    )


def host_of(url: httpx2.URL) -> str:
    """The host as it is looked up: lower case, punycode, without brackets or a final dot."""
    return url.raw_host.decode("ascii").lower().strip("[]").rstrip(".")


def port_of(url: httpx2.URL) -> int:
    """The port, by default the scheme's."""
    return url.port if url.port is not None else _PORTS[url.scheme]


def shown_url(url: httpx2.URL) -> str:
    """The URL without user and password."""
    return str(url.copy_with(userinfo=b"")) if url.userinfo else str(url)


def parse_url(text: str) -> httpx2.URL:
    """The URL without its fragment. Raises SourceError where it is none."""
    try:
        url = httpx2.URL(text)
        return url.copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise SourceError(f"'{text[:200]}' is no URL: {error}.") from None


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    for network, first in _HOLDS_IPV4:
        if address in network:
            return ipaddress.IPv4Address((int(address) >> (96 - first)) & 0xFFFFFFFF)
    return None


def _allows(entry: str, host: str, port: int, usual: bool) -> bool:
    """Whether an entry of the allow-list names host and port: `host`, `*.host`, `*`, each with `:port` or `:*`."""
    name, colon, wanted = entry.rpartition(":")
    if not colon or entry.endswith("]"):
        name, wanted = entry, ""
    if not (usual if not wanted else wanted in {"*", str(port)}):
        return False
    name = name.strip("[]")
    return name == "*" or name == host or (name.startswith("*.") and host.endswith(name[1:]))
