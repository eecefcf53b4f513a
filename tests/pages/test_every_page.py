"""What holds of every page: no complaint of the browser, nothing for axe-core, no sideways scroll, in every theme."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.pages.axe import found_by_axe
from tests.pages.browser import DESKTOP, PHONE, TABLET, Look
from tests.pages.sample import Sample
from tests.support.api_server import AirflowDouble

THEMES = (("light", "normal"), ("dark", "normal"), ("contrast", "normal"), ("light", "large"))
OF_THEMES = ("color-contrast", "link-in-text-block", "target-size")
PAGES = {
    "hub": "",
    "connections": "connections",
    "sync-log": "sync-log",
    "run": "sync-log/{run}",
    "undo": "undo/{run}",
    "error-log": "error-log",
    "error": "error-log/{error}",
    "mappings": "mappings",
    "mapping": "mappings/erp/tickets",
    "mapping-preview": "mappings/erp/tickets/preview",
    "settings": "settings",
    "airflow-run": "airflow/{run}",
}
"""By the name of its picture, each page with something on it."""
FAILING = {
    "nothing found": ("sync-log?status=cancelled", "No sync fits."),
    "not found": ("sync-log/none", "There is no run none"),
    "not understood": ("sync-log?from=yesterday", "is no day"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_every_theme_and_size(name: str, look: Look, sample: Sample, airflow: AirflowDouble) -> None:
    airflow.starts["kwiksync_erp_inbound"] = datetime.now(UTC).replace(minute=0, second=0) + timedelta(hours=9)
    look.as_("admin")
    page = look.go(PAGES[name].format(run=sample.runs[-2], error=sample.error))
    assert_sound(look, page)
    assert look.complaints == []
    expect(page.locator("[data-name=Records]", has_text="…")).to_have_count(0)
    look.shoot(name)


@pytest.mark.parametrize("name", FAILING)
def test_a_page_that_says_what_went_wrong(name: str, look: Look) -> None:
    path, says = FAILING[name]
    page = look.go(path)
    assert says in page.inner_text("main")
    assert_sound(look, page)


@pytest.mark.parametrize(("who", "says"), [("expired", "Your session has ended"), ("viewer", "You have no access")])
def test_a_page_for_who_may_not(who: str, says: str, look: Look) -> None:
    look.as_(who)
    page = look.go("connections")
    assert says in page.inner_text("main")
    assert page.locator("nav").count() == 0
    assert_sound(look, page)


def test_what_opens_over_a_page(look: Look, sample: Sample) -> None:
    page = look.go(f"error-log/{sample.error}")
    page.get_by_role("button", name="Display").click()
    assert found_by_axe(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Resolve", exact=True).click()
    assert found_by_axe(page) == []
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def assert_sound(look: Look, page: Page) -> None:
    """All of axe-core's rules, wide and narrow; what a theme changes, in each theme."""
    for theme, text in THEMES:
        look.theme(theme, text)
        for width, height in (PHONE, TABLET, DESKTOP):
            look.size(width, height)
            assert look.overflow() <= 0, f"{theme} {text} at {width}"
        assert found_by_axe(page, only=OF_THEMES) == [], f"{theme} {text}"
    look.theme("light")
    for size in (PHONE, DESKTOP):
        look.size(*size)
        assert found_by_axe(page) == [], f"at {size}"
