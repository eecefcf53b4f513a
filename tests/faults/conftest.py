"""What the tests of faults share: a hub of each kind with a small system that syncs into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kwiksync_ops.storage.hub import Hub
from tests.conftest import StartServer
from tests.support.lean_system import LeanSystem, lean_system

StartSystem = Callable[..., LeanSystem]


@pytest.fixture
def start_system(https_server: StartServer, ca_file: str, hub: Hub, tmp_path: Path) -> StartSystem:
    """`start_system("keyset", staged=True)`: the system of a style, on a server of its own."""

    def start(style: str = "keyset", *, staged: bool = False, **limits: object) -> LeanSystem:
        return lean_system(hub, https_server(), ca_file, tmp_path, style, staged=staged, **limits)

    return start


@pytest.fixture(params=["streamed", "staged"])
def is_staged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "staged")
