"""The Hub: what it shows, to whom, and how."""

from __future__ import annotations

from tests.pages.browser import Look


def test_it_shows(look: Look) -> None:
    page = look.go("")
    assert page.inner_text("h1") == "Hub"
    assert look.complaints == []
    look.shoot("hub")
