"""Where a connector may call: HTTPS, the system's own host, and no private network that was not allowed by name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, SystemUnavailableError
from kwiksync_ops.redaction import Redactor

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]

DEFAULT_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Origin:
    """What two URLs must share to be the same system."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == DEFAULT_PORTS.get(self.scheme)
        return f"{self.scheme}://{host}" if is_default else f"{self.scheme}://{host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Scheme, host and port of an absolute URL. Raises ValueError."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError("it is not an absolute URL")
    return Origin(parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme, 0))


def resolve_host(host: str, port: int) -> list[str]:
    """Addresses of a host, by the machine's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class AddressGuard:
    """Decides which addresses may be called. The caller connects to the very addresses that were checked."""

    names: frozenset[str] = frozenset()
    networks: tuple[IpNetwork, ...] = ()
    insecure_loopback: bool = False
    resolve: Resolve = resolve_host

    def base_origin(self, base_url: str) -> Origin:
        """The origin of a connection's base URL, once the URL is one that may be called."""
        shown = Redactor().url(base_url)
        try:
            origin = origin_of(base_url)
        except ValueError as exc:
            raise ConfigurationError(
                f"The base URL {shown!r} can't be used: {exc}.", remedy="Set the connection's host to https://…"
            ) from exc
        if urlsplit(base_url).username is not None:
            raise ConfigurationError(
                f"The base URL {shown} carries user information.", remedy="Use the connection's login and password."
            )
        if origin.scheme != "https" and not (origin.scheme == "http" and self.insecure_loopback):
            raise InsecureTransportError(
                f"{shown} is not HTTPS.",
                remedy="Use https://; plain http is only for this machine itself, with allow_insecure_loopback: true.",
            )
        return origin

    def addresses(self, origin: Origin) -> list[str]:
        """Addresses to connect to, all of them allowed.

        Raises:
            InsecureTransportError: the host lies where it may not be called.
            SystemUnavailableError: the name is not known.
        """
        try:
            found = self.resolve(origin.host, origin.port)
        except (OSError, UnicodeError) as exc:
            raise SystemUnavailableError(
                f"The host name {origin.host} can't be resolved.", remedy="Check the connection's host, and the DNS."
            ) from exc
        allowed = [address for address in found if self._is_allowed(origin, address)]
        if not allowed:
            raise self._refusal(origin, found)
        return allowed

    def _is_allowed(self, origin: Origin, address: str) -> bool:
        ip = _effective(address)
        if origin.scheme == "http":
            return self.insecure_loopback and ip.is_loopback
        if ip.is_global and not ip.is_multicast:
            return True
        return origin.host.lower() in self.names or any(ip in network for network in self.networks)

    def _refusal(self, origin: Origin, found: list[str]) -> InsecureTransportError:
        shown = ", ".join(found)
        if origin.scheme == "http":
            return InsecureTransportError(
                f"{origin} is plain http and leads to {shown}, not to this machine itself.", remedy="Use https://."
            )
        return InsecureTransportError(
            f"{origin} leads to {shown}, in a private, loopback or link-local network.",
            remedy=f"If that is meant, add {origin.host} to allow_hosts.",
        )


def guard_for(allow_hosts: Iterable[str], *, insecure_loopback: bool = False) -> AddressGuard:
    """A guard that lets these names, addresses and networks be private. Raises ValueError for a faulty network."""
    names: set[str] = set()
    networks: list[IpNetwork] = []
    for host in allow_hosts:
        network = _network(host)
        if network is None:
            names.add(host.lower())
        else:
            networks.append(network)
    return AddressGuard(frozenset(names), tuple(networks), insecure_loopback)


def same_origin_url(link: str, *, page_url: str, what: str) -> str:
    """A link or redirect as an absolute URL.

    Raises:
        InsecureTransportError: it leaves the origin of the page that it stands on.
    """
    home = origin_of(page_url)
    try:
        target = urljoin(page_url, link)
        origin = origin_of(target)
    except ValueError as exc:
        raise InsecureTransportError(f"{what} is not a URL: {Redactor().url(link)[:200]!r}.") from exc
    if origin != home or urlsplit(target).username is not None:
        raise InsecureTransportError(
            f"{what} leads from {home} to {origin}; it was not followed.",
            remedy="A system is read from one host over HTTPS: correct the base URL, or the address it gives itself.",
        )
    return target


def _network(host: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(host.strip("[]"), strict=False)
    except ValueError:
        if "/" in host:
            raise
        return None


def _effective(address: str) -> IpAddress:
    """The IPv4 address within an IPv6 form of it, since that is where the packets go."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is None and ip in _NAT64:
        inner = ipaddress.IPv4Address(ip.packed[-4:])
    return inner or ip
