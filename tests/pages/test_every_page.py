"""What holds of every page: no complaint of the browser, nothing for axe-core, no sideways scroll, in every theme."""

from __future__ import annotations

import pytest

from tests.pages.axe import found_by_axe
from tests.pages.browser import DESKTOP, PHONE, TABLET, Look
from tests.pages.sample import Sample

SHOWN = ("hub", "connections", "sync-log", "run", "undo", "error-log", "error", "settings", "airflow-run")
THEMES = (("light", "normal"), ("dark", "normal"), ("contrast", "normal"), ("light", "large"))


def addresses(sample: Sample) -> dict[str, str]:
    """By the name of its picture, each page with something on it."""
    return {
        "hub": "",
        "connections": "connections",
        "sync-log": "sync-log",
        "run": f"sync-log/{sample.runs[-2]}",
        "undo": f"undo/{sample.runs[-2]}",
        "error-log": "error-log",
        "error": f"error-log/{sample.error}",
        "settings": "settings",
        "airflow-run": f"airflow/{sample.runs[0]}",
        "nothing-found": "sync-log?status=cancelled",
        "not-found": "sync-log/none",
        "not-understood": "sync-log?from=yesterday",
    }


def test_every_page_in_every_theme_and_size(look: Look, sample: Sample, subtests: pytest.Subtests) -> None:
    look.as_("admin")
    for name, path in addresses(sample).items():
        page = look.go(path)
        for theme, text in THEMES:
            with subtests.test(f"{name} {theme} {text}"):
                look.theme(theme, text)
                assert found_by_axe(page) == []
                for width, height in (PHONE, TABLET, DESKTOP):
                    look.size(width, height)
                    assert look.overflow() <= 0, f"{name} at {width}"
        look.theme("light")
        if name in SHOWN:
            look.shoot(name)
    assert [said for said in look.complaints if "status of 4" not in said] == []
