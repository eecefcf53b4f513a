"""Anchors of the audit trail, one a file, at a place that who writes to the hub need not reach."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

from pyarrow import fs

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.storage.audit import ANCHOR_PLACE, Anchor

_FOLDER = "audit-anchors"


def write(url: str, anchor: Anchor) -> str:
    """Keep it; its path. One that is there already stays as it is.

    Raises:
        ConfigurationError: the place can't be written to.
    """
    try:
        files, root = _open(url)
        path = f"{root}/{anchor.number:012d}.json"
        if files.get_file_info(path).type == fs.FileType.NotFound:
            files.create_dir(root, recursive=True)
            with files.open_output_stream(path) as file:
                file.write(json.dumps(asdict(anchor)).encode())
    except (OSError, ValueError) as exc:
        raise _unusable(url, exc) from exc
    return path


def read_all(url: str) -> list[Anchor]:
    """All anchors, the oldest first; none where the place is new.

    Raises:
        ConfigurationError: the place can't be read, or holds what is no anchor.
    """
    try:
        files, root = _open(url)
        found = files.get_file_info(fs.FileSelector(root, allow_not_found=True))
        paths = sorted(info.path for info in found if info.path.endswith(".json"))
        return [Anchor(**json.loads(files.open_input_stream(path).read())) for path in paths]
    except (OSError, ValueError, TypeError) as exc:
        raise _unusable(url, exc) from exc


def _open(url: str) -> tuple[fs.FileSystem, str]:
    if not re.fullmatch(ANCHOR_PLACE, url):
        raise ValueError("it is no folder and no bucket")
    files, root = fs.FileSystem.from_uri(url)
    return files, f"{root.rstrip('/')}/{_FOLDER}"


def _unusable(url: str, exc: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The anchors of the audit trail under {url} can't be read or written: {exc}.",
        remedy="Let the setting audit.anchor name a folder (file:///…) or a bucket (s3://…) that is there.",
    )
