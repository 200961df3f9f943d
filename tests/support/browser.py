"""A real Chromium, and pages that record their own errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
WITHIN_THE_PAGE = ("data", "blob", "about")
WIDE, NARROW = 1400, 400
HEIGHT = 900


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine, or Playwright's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Complaints:
    """Errors in a page, and its requests to other servers."""

    console: list[str] = field(default_factory=list)
    page: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.console or self.page or self.elsewhere)


@contextmanager
def opened(
    browser: Browser, url: str, *, width: int = WIDE, dark: bool = False, offline: bool = False
) -> Iterator[tuple[Page, Complaints]]:
    """The page at `url`, in a fresh window of its own, and its complaints."""
    complaints = Complaints()
    home = urlsplit(url)

    def on_request(request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in WITHIN_THE_PAGE and asked[:2] != home[:2]:
            complaints.elsewhere.append(request.url)

    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if dark else "light",
        offline=offline,
        accept_downloads=True,
    )
    try:
        page = context.new_page()
        page.on("console", lambda one: complaints.console.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: complaints.page.append(str(error)))
        context.on("request", on_request)
        page.goto(url)
        yield page, complaints
    finally:
        context.close()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found
