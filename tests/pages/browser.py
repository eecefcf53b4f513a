"""A real Chromium, and what a person does with it: go, look, click. It keeps what the browser complains of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, TABLET, PHONE = (1200, 900), (820, 1100), (390, 844)
TALLEST = 1_300
SCREENSHOTS = Path(__file__).parents[2] / "docs" / "images" / "pages"


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


class Look:
    """`complaints` are console errors, policy violations and uncaught exceptions."""

    def __init__(self, browser: Any, url: str, screenshots: Path | None) -> None:
        self.root = f"{url}/pages"
        self.url = url
        self._screenshots = screenshots
        self._context = browser.new_context(ignore_https_errors=True, reduced_motion="reduce")
        self._context.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.as_("user")
        self.page = self._opened()

    def _opened(self) -> Page:
        page: Page = self._context.new_page()
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def as_(self, who: str) -> None:
        self._context.add_cookies([{"name": "_token", "value": f"{who}-token", "url": self.url}])

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.root}/{path}")
        return self.page

    def offline(self, is_offline: bool) -> None:
        self._context.set_offline(is_offline)

    def theme(self, name: str, text: str = "normal") -> None:
        """A person's own choice, on the page that is open."""
        self.page.evaluate(
            "([theme, text]) => { localStorage.setItem('kwiksync.theme', theme);"
            " localStorage.setItem('kwiksync.text', text); dispatchEvent(new Event('kwiksync-display')); }",
            [name, text],
        )

    def size(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})

    def overflow(self) -> int:
        """How many pixels of the page lie beyond the right edge."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return found

    def shoot(self, name: str) -> None:
        """A picture for the documentation, where pictures are asked for."""
        if self._screenshots:
            height = min(self.page.evaluate("document.documentElement.scrollHeight"), TALLEST)
            clip = {"x": 0, "y": 0, "width": DESKTOP[0], "height": height}
            self.page.screenshot(path=self._screenshots / f"{name}.png", full_page=True, clip=clip)

    def close(self) -> None:
        self._context.close()
