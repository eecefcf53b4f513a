"""dlt's side of SQL to hub, run by the virtual environment that has dlt: one process for one case.

`sql_dlt_side.py WORK_FOLDER DATABASE_URL SOURCE_URL DATABASE_PID`: the same table, by dlt's `sql_database` source, with
its defaults: write disposition `merge` by primary key.
"""

from __future__ import annotations

import sys

import dlt
import dlt.destinations.impl.postgres.postgres  # its driver with it: imports are not measured
from dlt.sources.sql_database import sql_table
from dlt_side import destination, stored
from figures import measure, tell


def load(work_folder: str, database_url: str, source_url: str) -> dict[str, int]:
    tickets = sql_table(source_url, table="tickets")
    tickets.apply_hints(write_disposition="merge", primary_key="ticket_id")
    pipeline = dlt.pipeline(
        pipeline_name="bench_sql",
        pipelines_dir=work_folder,
        destination=destination("postgresql", database_url),
        dataset_name="bench",
    )
    pipeline.run(tickets).raise_on_failed_jobs()
    return {"processed": pipeline.last_trace.last_normalize_info.row_counts["tickets"], "stored": stored(pipeline)}


def main() -> None:
    *where, database_pid = sys.argv[1:]
    tell(measure(lambda: load(*where), int(database_pid)))


if __name__ == "__main__":
    main()
