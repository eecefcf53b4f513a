from __future__ import annotations

from pathlib import Path

import pytest

from kwiksync_ops.declared.fault import Fault, did_you_mean, file_error, key_text


def test_a_key_path_reads_like_code() -> None:
    assert key_text(("tables", 0, "cursor", "field")) == "tables[0].cursor.field"


@pytest.mark.parametrize(
    ("word", "hint"), [("Timezone", " Did you mean 'timezone'?"), ("time_zone", " Did you mean 'timezone'?"), ("x", "")]
)
def test_the_nearest_known_word_is_proposed(word: str, hint: str) -> None:
    assert did_you_mean(word, ["schedule", "timezone"]) == hint


def test_faults_stand_in_the_order_of_lines_and_once() -> None:
    path = Path("erp.yaml")
    late, early = Fault(path, ("b",), "is wrong.", 9), Fault(path, ("a",), "is wrong.", 2, 5)
    error = file_error(path, [late, early, late])
    assert error.code == "ERR_014"
    assert error.faults == ("erp.yaml:2:5: a: is wrong.", "erp.yaml:9: b: is wrong.")
    assert error.message.startswith("erp.yaml has 2 faults:")
    assert error.remedy == "Correct erp.yaml, then run kwiksync plan."
