"""HTTP connections that call only allowed addresses, and end on time whatever the peer does."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from typing import Any

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.http.address import AddressGuard, Origin

BUFFER = 64 * 1024
MAX_ADDRESSES = 3


class Deadline:
    """When the running call must be over. One source makes one call at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends = 0.0

    def start(self, total_s: float) -> None:
        self._ends = self._clock.monotonic() + total_s

    def left_s(self) -> float:
        return self._ends - self._clock.monotonic()

    def is_over(self) -> bool:
        return self.left_s() <= 0


class _DeadlineReader(io.RawIOBase):
    """Bytes of a socket. Raises TimeoutError once the deadline is over."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._deadline = deadline
        self._read_s = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline.left_s()
        if left_s <= 0:
            raise TimeoutError("the whole call took too long")
        self._sock.settimeout(left_s if self._read_s is None else min(left_s, self._read_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(raw, sock, deadline), BUFFER)


class _GuardedConnection(HTTPConnection):
    """Connects to the addresses that the guard allowed, never to what a second look-up of the name says."""

    scheme = "http"

    def __init__(self, *args: Any, guard: AddressGuard, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self.response_class = partial(_DeadlineResponse, deadline=deadline)  # type: ignore[assignment]  # a factory serves

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        addresses = self._guard.addresses(Origin(self.scheme, self.host, self.port))[:MAX_ADDRESSES]
        try:
            for address in addresses[:-1]:
                self._dns_host = address
                try:
                    return super()._new_conn()
                except urllib3.exceptions.HTTPError:
                    continue
            self._dns_host = addresses[-1]
            return super()._new_conn()
        finally:
            self._dns_host = name


class _GuardedHttpsConnection(_GuardedConnection, HTTPSConnection):
    scheme = "https"


class _GuardedPools(urllib3.PoolManager):
    def __init__(self, *args: Any, guard: AddressGuard, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: dict[str, Callable[..., HTTPConnection]] = {
            connection.scheme: partial(connection, guard=guard, deadline=deadline)
            for connection in (_GuardedConnection, _GuardedHttpsConnection)
        }

    def _new_pool(self, scheme: str, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(scheme, *args, **kwargs)
        pool.ConnectionCls = self._connections[scheme]  # type: ignore[assignment]  # a factory serves
        return pool


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """Sends requests through guarded connections, under a deadline. It never repeats a request by itself."""

    def __init__(self, guard: AddressGuard, deadline: Deadline, **pool_options: Any) -> None:
        self._guard = guard
        self._deadline = deadline
        self._pool_options = pool_options
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = _GuardedPools(
            num_pools=connections,
            maxsize=maxsize,
            block=block,
            guard=self._guard,
            deadline=self._deadline,
            **self._pool_options,
        )
