"""A folder of this machine. Symbolic links are followed within the folder only."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from kwiksync_ops.connectors.files.options import path_fault
from kwiksync_ops.connectors.files.place import FileInfo, is_hidden
from kwiksync_ops.connectors.time_format import EPOCH
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, SystemUnavailableError

log = logging.getLogger(__name__)

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalPlace:
    calls = 0
    shows_half_files = True

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ConfigurationError(
                f"{url!r} names no folder of this machine.", remedy="Write three slashes: file:///data/in."
            )
        self.url = url
        self._named = Path(unquote(parts.path))
        self._root = self._named.resolve()

    def files(self, folder: str, *, deep: bool) -> list[FileInfo]:
        with self._told(folder or "."):
            if not self._root.is_dir():
                raise ConfigurationError(
                    f"There is no folder {self._named}.", remedy="Make it, or correct the connection's folder."
                )
            try:
                start = self._inside(folder)
            except FileNotFoundError:
                return []
            return list(self._walk(start, f"{folder}/" if folder else "", deep=deep)) if start.is_dir() else []

    def find(self, name: str) -> FileInfo | None:
        with self._told(name):
            try:
                return _info(name, self._inside(name).stat())
            except FileNotFoundError:
                return None

    def open(self, name: str) -> BinaryIO:
        with self._told(name):
            path = self._inside(name)
            handle = os.open(path, _OPEN)
            file = os.fdopen(handle, "rb")
            if not stat.S_ISREG(os.fstat(handle).st_mode) or path.resolve() != path:
                file.close()
                raise FileNotFoundError(errno.ENOENT, "it is no plain file", name)
            return file

    def write(self, name: str, content: bytes) -> None:
        with self._told(name):
            path = self._new_path(name)
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
            try:
                with os.fdopen(os.open(part, _MAKE, 0o640), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            except OSError:
                with suppress(OSError):
                    part.unlink()
                raise
            _sync_folder(path.parent)

    def move(self, name: str, new: str) -> None:
        with self._told(name):
            path = self._new_path(new)
            self._inside(name, follow=False).replace(path)
            _sync_folder(path.parent)

    def close(self) -> None:
        pass

    def _walk(self, folder: Path, prefix: str, *, deep: bool) -> Iterator[FileInfo]:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{prefix}{entry.name}"
                if is_hidden(entry.name) or not _is_plain(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if deep:
                        yield from self._walk(Path(entry.path), f"{name}/", deep=True)
                elif found := self._plain_file(name, entry):
                    yield found

    def _plain_file(self, name: str, entry: os.DirEntry[str]) -> FileInfo | None:
        try:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self._root):
                log.warning("%s is left alone: it is a link that leads out of %s", name, self._named)
                return None
            found = entry.stat()
        except FileNotFoundError:  # it was taken away, or is a link to nothing
            return None
        return _info(name, found) if stat.S_ISREG(found.st_mode) else None

    def _inside(self, name: str, *, follow: bool = True) -> Path:
        """The path below the folder, its links followed. Raises InsecureTransportError where it leads elsewhere."""
        problem = path_fault(name)
        path = self._root / name
        real = path.resolve() if follow else path.parent.resolve() / path.name
        if problem or not real.is_relative_to(self._root):
            raise InsecureTransportError(
                problem or f"{name} leads out of {self._named}.", remedy="A connection reaches its own folder only."
            )
        if not os.path.lexists(real):
            raise FileNotFoundError(errno.ENOENT, "it is not there", name)
        return real

    def _new_path(self, name: str) -> Path:
        """The path of a file to be made, its folders made. None of them leads out."""
        parent, _, base = name.rpartition("/")
        folder = self._inside("")
        reached = ""
        for part in filter(None, parent.split("/")):
            reached = f"{reached}/{part}".lstrip("/")
            with suppress(FileExistsError):
                (folder / part).mkdir()
            folder = self._inside(reached)
        return folder / base

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """What the machine says, as errors of ours."""
        try:
            yield
        except FileNotFoundError:
            raise
        except PermissionError as exc:
            raise ConfigurationError(
                f"{name} below {self._named} may not be read or written by this user.",
                remedy="Give the user of the workers the right to it.",
            ) from exc
        except OSError as exc:
            raise SystemUnavailableError(
                f"{name} below {self._named}: {exc.strerror or exc}.", remedy="Look at the disk and the folder."
            ) from exc


def _info(name: str, found: os.stat_result) -> FileInfo:
    """With the time of the last change of any kind, since a modification time can be set to anything."""
    version = f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}"
    return FileInfo(name, found.st_size, _moment(found.st_mtime_ns), version, _moment(found.st_ctime_ns))


def _moment(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _is_plain(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        log.warning("%r is left alone: its name is no UTF-8 text", name)
        return False
    return path_fault(name) is None


def _sync_folder(folder: Path) -> None:
    """A rename is lasting when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
