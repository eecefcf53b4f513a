"""The place that a connection names, by the scheme of its folder."""

from __future__ import annotations

from urllib.parse import urlsplit

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files.options import FilesOptions
from kwiksync_ops.connectors.files.place import Place
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor


def open_place(credentials: Credentials, options: FilesOptions, limiter: CallLimiter) -> Place:
    """The place that the connection names; nothing is called yet.

    Raises:
        ConfigurationError: the address is none of a folder.
        InsecureTransportError: the S3 store is not at an HTTPS address.
    """
    scheme = urlsplit(credentials.base_url).scheme.lower()
    if scheme == "file":
        from kwiksync_ops.connectors.files.local_place import LocalPlace

        return LocalPlace(credentials.base_url)
    if scheme == "s3":
        from kwiksync_ops.connectors.files.s3_place import S3Place

        return S3Place(credentials, options, limiter)
    if scheme == "sftp":
        from kwiksync_ops.connectors.files.sftp_place import SftpPlace

        return SftpPlace(credentials, options, limiter)
    raise ConfigurationError(
        f"The folder {Redactor(credentials.secrets).url(credentials.base_url)!r} can't be used.",
        remedy="Set the connection's folder to file:///data/in, s3://bucket/in or sftp://host/in.",
    )
