"""A folder of an SFTP server whose host key is known. Symbolic links are not followed."""

from __future__ import annotations

import io
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files.options import FilesOptions, path_fault
from kwiksync_ops.connectors.files.place import FileInfo, is_hidden
from kwiksync_ops.connectors.files.remote_file import remote_file
from kwiksync_ops.connectors.http.address import Origin, guard_for
from kwiksync_ops.connectors.time_format import EPOCH
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionTimeoutError,
    InsecureTransportError,
    KwikSyncError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor

_PORT = 22
_REQUESTS_AHEAD = 64
_HOST_KEYS = (
    "Put the server's line of known_hosts into the connection's SSH host keys: ssh-keyscan HOST prints it; compare its "
    "fingerprint with what the server's operator says."
)


class SftpPlace:
    shows_half_files = True

    def __init__(self, credentials: Credentials, options: FilesOptions, limiter: CallLimiter) -> None:
        self._redactor = Redactor(credentials.secrets)
        parts = urlsplit(credentials.base_url)
        if not parts.hostname or parts.username:
            raise ConfigurationError(
                f"{self._redactor.url(credentials.base_url)!r} names no folder of an SFTP server.",
                remedy="Set the folder to sftp://host/folder, and who we are to the connection's login.",
            )
        self._host, self._port = parts.hostname, parts.port or _PORT
        folder = unquote(parts.path).rstrip("/") or "/"
        self._named = f".{folder[2:]}" if folder.startswith("/~") else folder
        self.url = f"sftp://{parts.netloc}{folder}"
        self.calls = 0
        self._credentials = credentials
        self._options = options
        self._limiter = limiter
        self._guard = guard_for((*credentials.allow_hosts, *options.allow_hosts))
        if not credentials.extra.get("host_keys", "").strip():
            raise ConfigurationError(f"The connection to {self.url} has no host keys.", remedy=_HOST_KEYS)
        self._ssh: Any = None
        self._sftp: Any = None
        self._root = ""

    def files(self, folder: str, *, deep: bool) -> list[FileInfo]:
        with self._called(folder or "the folder"):
            try:
                return list(self._walk(folder, deep=deep))
            except FileNotFoundError:
                if folder:
                    return []
                raise ConfigurationError(
                    f"There is no folder {self.url}.", remedy="Make it, or correct the connection's folder."
                ) from None

    def find(self, name: str) -> FileInfo | None:
        with self._called(name):
            try:
                return _info(name, self._sftp.lstat(self._path(name)))
            except FileNotFoundError:
                return None

    def open(self, name: str) -> BinaryIO:
        with self._called(name):
            path = self._path(name)
            found = self._sftp.lstat(path)
            if not stat.S_ISREG(found.st_mode or 0) or self._sftp.normalize(path) != path:
                raise FileNotFoundError(f"{name} is no plain file")
            file = self._sftp.open(path, "rb")
            file.prefetch(found.st_size, max_concurrent_requests=_REQUESTS_AHEAD)
        return remote_file(file, partial(self._told, name))

    def write(self, name: str, content: bytes) -> None:
        with self._called(name):
            path = self._new_path(name)
            folder, _, base = path.rpartition("/")
            part = f"{folder}/.{base}.{secrets.token_hex(4)}.part"
            try:
                self._sftp.putfo(io.BytesIO(content), part, file_size=len(content), confirm=True)
                self._sftp.posix_rename(part, path)
            except BaseException:
                with suppress(Exception):
                    self._sftp.remove(part)
                raise

    def move(self, name: str, new: str) -> None:
        with self._called(name):
            self._sftp.posix_rename(self._path(name), self._new_path(new))

    def close(self) -> None:
        ssh, self._ssh, self._sftp = self._ssh, None, None
        if ssh is not None:
            ssh.close()

    def _walk(self, folder: str, *, deep: bool) -> Iterator[FileInfo]:
        for found in sorted(self._sftp.listdir_attr(self._path(folder)), key=lambda found: str(found.filename)):
            name = f"{folder}/{found.filename}" if folder else str(found.filename)
            if is_hidden(found.filename) or path_fault(name):
                continue
            if stat.S_ISREG(found.st_mode or 0):
                yield _info(name, found)
            elif deep and stat.S_ISDIR(found.st_mode or 0):
                yield from self._walk(name, deep=True)

    def _path(self, name: str) -> str:
        if problem := path_fault(name):
            raise InsecureTransportError(problem, remedy="A connection reaches its own folder only.")
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _new_path(self, name: str) -> str:
        """The path of a file to be made, its folders made; a folder that is a link elsewhere is refused."""
        parent, _, base = name.rpartition("/")
        path = self._root
        for part in filter(None, parent.split("/")):
            path = f"{path.rstrip('/')}/{part}"
            try:
                is_folder = stat.S_ISDIR(self._sftp.lstat(path).st_mode or 0)
            except FileNotFoundError:
                self._sftp.mkdir(path)
            else:
                if not is_folder:
                    raise InsecureTransportError(
                        f"{parent} leads out of {self.url}.", remedy="A connection reaches its own folder only."
                    )
        return f"{path.rstrip('/')}/{base}"

    @contextmanager
    def _called(self, name: str) -> Iterator[None]:
        self.calls += 1
        with self._limiter.call(), self._told(name):
            self._connect()
            yield

    def _connect(self) -> None:
        if self._ssh is not None and self._ssh.get_transport() and self._ssh.get_transport().is_active():
            return
        import paramiko  # type: ignore[import-untyped]  # it ships no types

        self.close()
        timeouts = self._options.timeouts
        ssh = paramiko.SSHClient()
        ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._trust(ssh)
        own = self._credentials
        try:
            ssh.connect(
                self._host,
                self._port,
                username=own.login,
                password=own.password,
                pkey=_private_key(own),
                sock=self._socket(),
                allow_agent=False,
                look_for_keys=False,
                banner_timeout=timeouts.read_s,
                auth_timeout=timeouts.read_s,
                channel_timeout=timeouts.read_s,
            )
            self._sftp = ssh.open_sftp()
            self._sftp.get_channel().settimeout(timeouts.read_s)
            self._root = self._sftp.normalize(self._named)
        except BaseException:
            ssh.close()
            raise
        self._ssh = ssh

    def _trust(self, ssh: Any) -> None:
        from paramiko.hostkeys import HostKeyEntry, InvalidHostKey  # type: ignore[import-untyped]  # as above

        for line in self._credentials.extra["host_keys"].splitlines():
            if not line.strip() or line.strip().startswith("#"):
                continue
            try:
                entry = HostKeyEntry.from_line(line.strip())
            except InvalidHostKey:
                entry = None
            if entry is None or entry.key is None:
                raise ConfigurationError(
                    "One of the connection's SSH host keys is no line of known_hosts.", remedy=_HOST_KEYS
                )
            for name in entry.hostnames:
                ssh.get_host_keys().add(name, entry.key.get_name(), entry.key)

    def _socket(self) -> socket.socket:
        """A connection to an address of the host that may be called."""
        addresses = self._guard.addresses(Origin("sftp", self._host, self._port))
        for address in addresses[:-1]:
            with suppress(OSError):
                return socket.create_connection((address, self._port), self._options.timeouts.connect_s)
        return socket.create_connection((addresses[-1], self._port), self._options.timeouts.connect_s)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        import paramiko

        try:
            yield
        except (FileNotFoundError, KwikSyncError):
            raise
        except paramiko.AuthenticationException as exc:
            raise AuthenticationError(
                f"{self.url} does not let us in: {self._said(exc)}.", remedy="Check the connection's login and its key."
            ) from exc
        except paramiko.BadHostKeyException as exc:
            raise InsecureTransportError(
                f"{self.url} has another host key than the connection says; nothing was sent.", remedy=_HOST_KEYS
            ) from exc
        except PermissionError as exc:
            raise ConfigurationError(
                f"{name} in {self.url} may not be read or written by this login.", remedy="Let the server allow it."
            ) from exc
        except TimeoutError as exc:
            raise ConnectionTimeoutError(
                f"{self.url} did not answer in time.", remedy="The task is tried again; see that the server is up."
            ) from exc
        except (paramiko.SSHException, EOFError, OSError) as exc:
            self.close()
            raise self._lost(name, exc) from exc

    def _lost(self, name: str, exc: Exception) -> KwikSyncError:
        if "not found in known_hosts" in str(exc):
            return InsecureTransportError(
                f"The host key of {self.url} is none that the connection says; nothing was sent.", remedy=_HOST_KEYS
            )
        return SystemUnavailableError(
            f"{name} in {self.url}: {self._said(exc) or 'the connection broke'}.",
            remedy="The task is tried again; see that the server is up.",
        )

    def _said(self, exc: Exception) -> str:
        return self._redactor.text(str(exc)).rstrip(".")[:500]


def _info(name: str, found: Any) -> FileInfo:
    size, modified = found.st_size or 0, found.st_mtime or 0
    return FileInfo(name, size, EPOCH + timedelta(seconds=modified), f"{size}:{modified}")


def _private_key(credentials: Credentials) -> Any:
    text = credentials.extra.get("private_key", "").strip()
    if not text:
        return None
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(f"{text}\n"), credentials.extra.get("passphrase"))
    raise ConfigurationError(
        "The connection's SSH private key can't be read.",
        remedy="Paste the whole PEM text of an Ed25519, ECDSA or RSA key; set its passphrase if it has one.",
    )
