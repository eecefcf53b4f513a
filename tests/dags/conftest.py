"""A sample ERP, and a hub that the Airflow of a test reads it into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kwiksync_ops.storage.hub import Hub
from tests.support.airflow_runs import AirflowHome
from tests.support.sample_erp import SampleErp, running_sample_erp


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as started:
        yield started


@pytest.fixture
def airflow_hub(airflow: AirflowHome, erp: SampleErp, tmp_path: Path) -> Iterator[Hub]:
    erp.move_clock(now="2016-03-24T18:30")
    hub = airflow.new_hub(f"sqlite:///{tmp_path}/hub.db", erp)
    yield hub
    hub.close()
