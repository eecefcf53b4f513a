"""Pages on their way from extract to transform."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kwiksync_ops.batch import Page
from kwiksync_ops.storage.stage import Stage, StagedPage

STAGE_A_PAGE = """
import sys
from kwiksync_ops.batch import Page
from kwiksync_ops.storage.stage import Stage, StagedPage
stage = Stage(sys.argv[1], "run", "tickets")
stage.write_page(StagedPage(Page(1, [{"id": "T-1"}], True, None, 1, None, [])))
stage.read_page(1)
print("pandas" in sys.modules)
"""


@pytest.mark.parametrize(
    "records", [[], [{"id": "T-1"}], [{"id": "é" * 1_000}, {"id": ""}, {"nested": {"a": [1, None]}}]]
)
def test_a_staged_page_comes_back_as_it_was(tmp_path: Path, records: list[dict[str, object]]) -> None:
    stage = Stage(f"file://{tmp_path}", "run", "tickets")
    staged = StagedPage(Page(1, records, False, "next", 2, None, []), known=3)
    stage.write_page(staged)
    assert stage.read_page(1) == staged


def test_extract_stages_its_pages_without_importing_pandas(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STAGE_A_PAGE, f"file://{tmp_path}"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"
