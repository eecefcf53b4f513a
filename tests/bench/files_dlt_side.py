"""dlt's side of files to hub, run by the virtual environment that has dlt: one process for one case.

`files_dlt_side.py WORK_FOLDER DATABASE_URL FOLDER DATABASE_PID`: the same file, by dlt's `filesystem` source and its
`read_csv`, with its defaults: write disposition `merge` by primary key.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dlt
import dlt.destinations.impl.postgres.postgres  # its driver with it: imports are not measured
import pandas  # noqa: F401  # what read_csv imports
from dlt.sources.filesystem import filesystem, read_csv
from dlt_side import destination, stored
from figures import measure, tell


def load(work_folder: str, database_url: str, folder: str) -> dict[str, int]:
    files = filesystem(bucket_url=Path(folder).as_uri(), file_glob="tickets.csv")
    tickets = (files | read_csv()).with_name("tickets")
    tickets.apply_hints(write_disposition="merge", primary_key="ticket_id")
    pipeline = dlt.pipeline(
        pipeline_name="bench_files",
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
