"""The pages on a real HTTPS server, over a hub that the sample ERP was synced into, and a real browser to look with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.fernet import Fernet

from kwiksync_ops.api.context import Context
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage.hub import Hub, open_hub
from tests.pages.browser import CHROMIUM, SCREENSHOTS, Look, running_browser
from tests.pages.sample import AUDIT_KEY, Sample, made_sample
from tests.support.api_server import AirflowDouble, ApiServer
from tests.support.inbound import INCLUDE

collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A hub with a week of syncs; made once."""
    return made_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def sample_hub(sample: Sample, tmp_path: Path) -> Iterator[Hub]:
    """A copy of it, to be changed at will."""
    path = tmp_path / "hub.db"
    shutil.copyfile(sample.path, path)
    opened = open_hub(f"sqlite:///{path}", audit_keys=(AUDIT_KEY,))
    yield opened
    opened.close()


@pytest.fixture
def airflow() -> AirflowDouble:
    return AirflowDouble()


@pytest.fixture
def context(airflow: AirflowDouble, sample_hub: Hub, tmp_path: Path) -> Context:
    url = sample_hub.engine.url.render_as_string(hide_password=False)
    keys = (Fernet.generate_key().decode(),)
    settings = Settings(url, INCLUDE, f"file://{tmp_path}/stage", keys, tmp_path)
    return Context(airflow, calls_per_minute=100_000, given=settings)


@pytest.fixture
def server(context: Context, certificate_authority: trustme.CA, ca_file: str) -> Iterator[ApiServer]:
    started = ApiServer(context, certificate_authority, ca_file)
    yield started
    started.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    with running_browser() as started:
        yield started


@pytest.fixture
def look(browser: object, server: ApiServer) -> Iterator[Look]:
    """A person at the browser, logged in as `user` until `as_` says another."""
    opened = Look(browser, server.url, SCREENSHOTS if os.environ.get("KWIKSYNC_SCREENSHOTS") else None)
    yield opened
    opened.close()
