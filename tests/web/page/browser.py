"""A real Chromium, and pages in it that keep what went wrong: scripts' errors, violations of the policy, and whatever was asked of anybody else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

PATIENCE = 10_000
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
VIEWS = ("fleet", "services", "rollouts", "timeline", "plan")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with nothing of the user's. Fails without one: a skipped proof proves nothing."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail("these tests look at the page in a real Chromium, and there is none: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """One page of a browser with a profile of its own.

    Attributes:
        wrong: Errors of scripts and of the console.
        elsewhere: Addresses that were asked for and are not the daemon's.
        expected: Beginnings of console errors that the test brings about.
    """

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def go(self, view: str) -> None:
        """Look at one view, and wait until it is there."""
        self.page.goto(f"http://{self.address}/#/{view}")
        expect(self.page.locator("main h1")).to_be_visible()
        expect(self.page.locator("main")).to_have_attribute("aria-busy", "false")

    def says(self, *texts: str) -> None:
        """The view shows each of these."""
        for text in texts:
            expect(self.page.locator("main")).to_contain_text(text)

    def run(self, script: str) -> Any:
        """A script's value; it is not held to the page's policy."""
        return self.page.evaluate(script)

    def check(self) -> None:
        """Nothing went wrong that the test did not bring about."""
        wrong = [words for words in self.wrong if not words.startswith(self.expected or ("\0",))]
        assert wrong == []
        assert self.elsewhere == []
        assert self.run("window.violations") == []

    def accessibility(self, *rules: str) -> list[str]:
        """What axe-core finds, a line each; by all rules, or by these."""
        which = {"runOnly": {"type": "rule", "values": rules}} if rules else _RULES
        if not self.run("'axe' in window"):
            self.page.evaluate(_AXE)
        found = self.page.evaluate(f"axe.run(document, {json.dumps(which)})")
        return [
            f"{item['id']}: {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for item in found["violations"]
            for node in item["nodes"][:5]
        ]


@contextmanager
def tab(browser: Browser, address: str, *, size: Mapping[str, int] | None = None, **options: Any) -> Iterator[Tab]:
    """A page; what went wrong on it fails the test at the end."""
    context = browser.new_context(viewport=dict(size or DESK), **options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    context.add_init_script(_WATCH)
    try:
        opened = Tab(context.new_page(), address)
        page = opened.page
        page.on("console", lambda said: opened.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: opened.wrong.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((f"http://{opened.address}/", "data:"))
                else opened.elsewhere.append(asked.url)
            ),
        )
        yield opened
        opened.check()
    finally:
        context.close()
