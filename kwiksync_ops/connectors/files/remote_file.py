"""A file that is read over a network: what goes wrong is told as errors of ours."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, cast


class _RemoteFile(io.RawIOBase):
    def __init__(self, file: Any, told: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._told = told

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._told():
            return bytes(self._file.read(size))

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def remote_file(file: Any, told: Callable[[], AbstractContextManager[None]]) -> BinaryIO:
    return cast(BinaryIO, _RemoteFile(file, told))
