"""axe-core, from npm at the time of the test: what it finds on a page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.support.node_packages import node_modules

AXE_CORE = "4.14.1"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def _source() -> str:
    return (node_modules("axe-core", {"axe-core": AXE_CORE}) / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def found_by_axe(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """One line a violation, with the first element that has it; `only` names rules instead of all."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_source())
    wanted = {"type": "rule", "values": list(only)} if only else {"type": "tag", "values": RULES}
    options = {"runOnly": wanted, "resultTypes": ["violations"]}
    found: dict[str, Any] = page.evaluate("(options) => axe.run(document, options)", options)
    return [f"{each['id']}: {each['nodes'][0]['target']} {each['help']}" for each in found["violations"]]
