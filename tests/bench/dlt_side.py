"""dlt's side of the benchmark, run by the virtual environment that has dlt: one process for one case.

`dlt_side.py WORK_FOLDER DESTINATION DATABASE_URL BASE_URL DATABASE_PID`: the same pages, by dlt's `rest_api` source,
with its defaults: write disposition `merge` by primary key.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import dlt
import dlt._workspace._plugins  # this and the next three are imported late: imports are not measured
import dlt.common.libs.sql_alchemy_compat
import dlt.destinations.impl.postgres.postgres  # its driver with it
import dlt.sources.helpers.requests
from dlt.sources.rest_api import rest_api_source
from figures import measure, tell

DATASET = "bench"


def load(work_folder: str, kind: str, database_url: str, base_url: str) -> dict[str, int]:
    source = rest_api_source(
        {
            "client": {
                "base_url": base_url,
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "pages"},
            },
            "resources": [
                {
                    "name": "tickets",
                    "primary_key": "ticket_id",
                    "write_disposition": "merge",
                    "endpoint": {"path": "tickets", "data_selector": "data"},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=work_folder,
        destination=destination(kind, database_url),
        dataset_name=DATASET,
    )
    pipeline.run(source).raise_on_failed_jobs()
    rows: Any = pipeline.last_trace.last_normalize_info.row_counts
    return {"processed": rows["tickets"], "stored": stored(pipeline)}


def destination(kind: str, database_url: str) -> Any:
    if kind == "sqlite":
        return dlt.destinations.sqlalchemy(database_url)
    url = urlsplit(database_url)
    socket = parse_qs(url.query).get("host", [None])[0]
    return dlt.destinations.postgres(
        {
            "host": quote(socket, safe="") if socket else url.hostname,
            "port": url.port or 5432,
            "username": url.username,
            "password": url.password or "none",
            "database": url.path.lstrip("/"),
        }
    )


def stored(pipeline: Any) -> int:
    with pipeline.sql_client() as client:
        return int(client.execute_sql("SELECT count(*) FROM tickets")[0][0])


def main() -> None:
    *where, database_pid = sys.argv[1:]
    tell(measure(lambda: load(*where), int(database_pid) or None))


if __name__ == "__main__":
    main()
