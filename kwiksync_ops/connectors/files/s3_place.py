"""A folder in S3, or in another store that speaks its language. HTTPS only, certificates verified."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files.options import FilesOptions, path_fault
from kwiksync_ops.connectors.files.place import FileInfo, is_hidden
from kwiksync_ops.connectors.files.remote_file import remote_file
from kwiksync_ops.connectors.http.address import guard_for, origin_of
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

_REFUSED = (
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "INVALID_CLIENT_TOKEN_ID",
    "HTTP code 403",
)
_MISSING = ("NO_SUCH_BUCKET", "does not exist", "Bucket not found")
_UNTRUSTED = ("curlCode: 60", "curlCode: 35", "curlCode: 77")
_LATE = ("curlCode: 28", "REQUEST_TIMEOUT")


class S3Place:
    shows_half_files = False

    def __init__(self, credentials: Credentials, options: FilesOptions, limiter: CallLimiter) -> None:
        parts = urlsplit(credentials.base_url)
        if not parts.hostname or parts.query or parts.username:
            raise ConfigurationError(
                f"{Redactor(credentials.secrets).url(credentials.base_url)!r} names no bucket.",
                remedy="Set the folder to s3://bucket/folder, and the keys to the connection's login and password.",
            )
        folder = unquote(parts.path).strip("/")
        self.url = f"s3://{parts.netloc}/{folder}".rstrip("/")
        self.calls = 0
        self._root = f"{parts.netloc}/{folder}".rstrip("/")
        self._credentials = credentials
        self._options = options
        self._limiter = limiter
        self._redactor = Redactor(credentials.secrets)
        self._guard = guard_for(
            (*credentials.allow_hosts, *options.allow_hosts), insecure_loopback=options.allow_insecure_loopback
        )
        self._endpoint = credentials.extra.get("endpoint_url", "").strip()
        if self._endpoint:
            self._guard.base_origin(self._endpoint)
        self._opened: Any = None
        self._has_bucket = False

    def files(self, folder: str, *, deep: bool) -> list[FileInfo]:
        from pyarrow import fs

        path = self._path(folder)
        with self._called(folder or "the folder"):
            found = self._store().get_file_info(fs.FileSelector(path, recursive=deep, allow_not_found=True))
        if not found and not self._has_bucket:
            self._check_bucket()
        names = ((info.path.removeprefix(f"{self._root}/"), info) for info in found if info.is_file)
        return [_info(name, info) for name, info in names if not is_hidden(name) and path_fault(name) is None]

    def find(self, name: str) -> FileInfo | None:
        with self._called(name):
            info = self._store().get_file_info(self._path(name))
        return _info(name, info) if info.is_file else None

    def open(self, name: str) -> BinaryIO:
        with self._called(name):
            file = self._store().open_input_stream(self._path(name))
        return remote_file(file, partial(self._told, name))

    def write(self, name: str, content: bytes) -> None:
        """One put: the store shows the object when it is whole."""
        with self._called(name), self._store().open_output_stream(self._path(name)) as file:
            file.write(content)

    def move(self, name: str, new: str) -> None:
        with self._called(name):
            self._store().copy_file(self._path(name), self._path(new))
        with self._called(name):
            self._store().delete_file(self._path(name))

    def close(self) -> None:
        self._opened = None

    def _check_bucket(self) -> None:
        """An empty list is one of a bucket that is there."""
        from pyarrow import fs

        bucket = self._root.partition("/")[0]
        with self._called("the folder"):
            is_there = self._store().get_file_info(bucket).type == fs.FileType.Directory
        if not is_there:
            raise ConfigurationError(
                f"There is no bucket {bucket}.", remedy="Make it, or correct the connection's folder."
            )
        self._has_bucket = True

    def _path(self, name: str) -> str:
        if problem := path_fault(name):
            raise InsecureTransportError(problem, remedy="A connection reaches its own folder only.")
        return f"{self._root}/{name}" if name else self._root

    def _store(self) -> Any:
        if self._opened is None:
            from pyarrow import fs

            own, timeouts = self._credentials, self._options.timeouts
            self._opened = fs.S3FileSystem(
                access_key=own.login,
                secret_key=own.password,
                session_token=own.token,
                region=own.extra.get("region") or ("us-east-1" if self._endpoint else None),
                connect_timeout=timeouts.connect_s,
                request_timeout=timeouts.read_s,
                background_writes=False,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
                tls_ca_file_path=own.ca_file,
                **self._at_endpoint(),
            )
        return self._opened

    def _at_endpoint(self) -> dict[str, str]:
        """The store's address, once it is one that may be called."""
        if not self._endpoint:
            return {}
        origin = origin_of(self._endpoint)
        self._guard.addresses(origin)
        return {"scheme": origin.scheme, "endpoint_override": urlsplit(self._endpoint).netloc}

    @contextmanager
    def _called(self, name: str) -> Iterator[None]:
        self.calls += 1
        with self._limiter.call(), self._told(name):
            yield

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise self._error(name, exc) from exc

    def _error(self, name: str, exc: OSError) -> KwikSyncError:
        said = self._redactor.text(str(exc))[:500]
        message = f"{name} in {self.url}: {said}"
        if any(sign in said for sign in _REFUSED):
            return AuthenticationError(message, remedy="Check the connection's access key, and what it may do there.")
        if any(sign in said for sign in _UNTRUSTED):
            return InsecureTransportError(
                message, remedy="Its certificate is not trusted: check ca_file, and the address."
            )
        if any(sign in said for sign in _LATE):
            return ConnectionTimeoutError(message, remedy="The task is tried again; see that the store is up.")
        if any(sign in said for sign in _MISSING):
            return ConfigurationError(message, remedy="Make the bucket, or correct the connection's folder.")
        return SystemUnavailableError(message, remedy="The task is tried again; see that the store is up.")


def _info(name: str, info: Any) -> FileInfo:
    return FileInfo(name, info.size, info.mtime or EPOCH, f"{info.size}:{info.mtime_ns}")
