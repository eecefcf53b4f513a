"""A real SSH server on 127.0.0.1 that serves a folder over SFTP, by paramiko's server side."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import paramiko
from paramiko import SFTP_OK, SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface

LOGIN, PASSWORD = "kwiksync", "a-sftp-password"


class _Handle(SFTPHandle):
    def stat(self) -> Any:
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(SFTPServerInterface):
    """The folder as the root of what a client sees; links are kept as links."""

    root = Path()

    def _real(self, path: str) -> Path:
        return self.root / self.canonicalize(path).lstrip("/")

    def _done(self, work: Any) -> Any:
        try:
            found = work()
        except OSError as exc:
            return SFTPServer.convert_errno(exc.errno or 5)
        return SFTP_OK if found is None or isinstance(found, Path) else found

    def list_folder(self, path: str) -> Any:
        def listed() -> list[SFTPAttributes]:
            return [
                SFTPAttributes.from_stat(entry.stat(follow_symlinks=False), entry.name)
                for entry in os.scandir(self._real(path))
            ]

        return self._done(listed)

    def stat(self, path: str) -> Any:
        return self._done(lambda: SFTPAttributes.from_stat(self._real(path).stat()))

    def lstat(self, path: str) -> Any:
        return self._done(lambda: SFTPAttributes.from_stat(self._real(path).lstat()))

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def opened() -> _Handle:
            handle = _Handle(flags)
            mode = "rb" if not flags & (os.O_WRONLY | os.O_RDWR) else "wb"
            handle.readfile = handle.writefile = self._real(path).open(mode)
            return handle

        return self._done(opened)

    def remove(self, path: str) -> Any:
        return self._done(self._real(path).unlink)

    def mkdir(self, path: str, attr: Any) -> Any:
        return self._done(self._real(path).mkdir)

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        return self._done(lambda: self._real(oldpath).replace(self._real(newpath)))


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        is_known = (username, password) == (LOGIN, PASSWORD)
        return int(paramiko.AUTH_SUCCESSFUL if is_known else paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_known = username == LOGIN and key.get_base64() in self.keys
        return int(paramiko.AUTH_SUCCESSFUL if is_known else paramiko.AUTH_FAILED)

    keys: frozenset[str] = frozenset()

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class RunningSftpServer:
    """`files` is what clients see as their root; `drop` ends all connections."""

    def __init__(self, files: Path, keys: frozenset[str] = frozenset()) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self._files = type("Files", (_Files,), {"root": files})
        self._door = type("Door", (_Door,), {"keys": keys})
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def host_keys(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}"

    def url(self, folder: str = "/") -> str:
        return f"sftp://127.0.0.1:{self.port}{folder}"

    def drop(self) -> None:
        for transport in self._open:
            transport.close()
        self._open.clear()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self.drop()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler("sftp", SFTPServer, self._files)
            self._open.append(transport)
            try:
                transport.start_server(server=self._door())
            except (paramiko.SSHException, EOFError, OSError):
                transport.close()
