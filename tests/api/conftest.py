"""The REST app on a server, over a hub of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.fernet import Fernet

from kwiksync_ops.api.context import Context
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import configuration
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage.hub import Hub
from tests.support.api_server import AirflowDouble, ApiServer

INCLUDE = Path(__file__).parents[2] / "include"
MANY = 100_000


@pytest.fixture
def airflow() -> AirflowDouble:
    return AirflowDouble()


@pytest.fixture
def secret_keys() -> tuple[str, ...]:
    return (Fernet.generate_key().decode(),)


@pytest.fixture
def context(airflow: AirflowDouble, hub: Hub, secret_keys: tuple[str, ...], tmp_path: Path) -> Context:
    """Over the hub of the test, with the sample ERP's configuration and room for many calls."""
    url = hub.engine.url.render_as_string(hide_password=False)
    configuration.apply(hub, INCLUDE, who="tester", clock=SystemClock())
    settings = Settings(url, INCLUDE, f"file://{tmp_path}/stage", secret_keys, tmp_path)
    return Context(airflow, calls_per_minute=MANY, given=settings)


@pytest.fixture
def server(context: Context, certificate_authority: trustme.CA, ca_file: str) -> Iterator[ApiServer]:
    started = ApiServer(context, certificate_authority, ca_file)
    yield started
    started.close()
