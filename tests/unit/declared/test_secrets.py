from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.declared.fault import DeclaredFile
from kwiksync_ops.declared.secrets import secret_faults


def faults(value: Any) -> list[str]:
    file = DeclaredFile(Path("a.yaml"), value, {})
    return [".".join(map(str, fault.key)) for fault in secret_faults(file, by_name=True)]


@pytest.mark.parametrize(
    "value",
    [
        {"password": "hunter2"},
        {"headers": {"Authorization": "Session abc"}},
        {"password": "hunter2${login}"},
        {"password": "${login}hunter2"},
        {"password": "a very long word in front of ${login}"},
        {"note": "Bearer abcdefghijkl"},
    ],
)
def test_what_is_a_secret_by_its_name_or_its_looks_is_found(value: Any) -> None:
    assert len(faults(value)) == 1


@pytest.mark.parametrize(
    "value",
    [
        {"password": "${password}"},
        {"headers": {"Authorization": "Session ${credential}"}},
        {"credential": "${login}:${user}:${session}"},
        {"auth": "basic"},
        {"password": ""},
    ],
)
def test_a_placeholder_for_a_secret_is_none(value: Any) -> None:
    assert faults(value) == []
