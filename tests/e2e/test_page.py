from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from reconciler.web import Role, add_token, mint
from tests.e2e.canary import Canary
from tests.e2e.rig import git
from tests.web.page.browser import chromium, tab


@pytest.fixture
def mesh(short_path: Path) -> Iterator[Canary]:
    """One gateway, and a canary that waits for a person at 20%."""
    with Canary(short_path) as rig:
        rig.commit(rig.rollout("setWeight: 20", "pause: {}", "setWeight: 100"), "Walk details to v2")
        yield rig


@contextmanager
def address(rig: Canary, tokens: Path) -> Iterator[str]:
    options = ["--http", "127.0.0.1:0", "--http-tokens", str(tokens), "--http-anonymous"]
    with rig.daemon(*options):
        yield re.findall(r"HTTP on http://(\S+)", rig.log())[-1]


def test_a_canary_is_followed_and_promoted_on_the_page(mesh: Canary) -> None:
    """With real Envoys and a real daemon: what it shows is what Git and the proxies say, and promoting is a commit by whoever asked."""
    tokens = mesh.folder / "tokens"
    shown, token = mint(
        name="Ada L", email="ada@x.test", roles=[Role.READ, Role.OPERATE], created=datetime.now(UTC), expires=None
    )
    add_token(tokens, token)
    with address(mesh, tokens) as where, mesh.load(rate=50), chromium() as browser, tab(browser, where) as seen:
        seen.go("fleet")
        expect(seen.page.locator("#proxies tbody tr")).to_contain_text("in sync", timeout=20_000)
        seen.says("edge", "1/1", git("-C", str(mesh.repo), "rev-parse", "main")[:8])

        seen.go("rollouts")
        seen.says("a person has to promote it", "pause until promoted", "20%")
        assert seen.page.get_by_role("button", name="Promote").count() == 0

        seen.go("services")
        calls = seen.page.locator("#calls-table tbody tr")
        expect(calls).to_have_count(2)
        expect(calls.nth(1)).to_contain_text(re.compile(r"edge.*details.*v2.*20%.*[0-9.]+%.*[0-9.]+"), timeout=20_000)

        seen.go("sign-in")
        seen.page.get_by_label("Token").fill(shown)
        seen.page.get_by_role("button", name="Sign in").click()
        expect(seen.page.locator("#who")).to_contain_text("Ada L")
        seen.go("rollouts")
        seen.page.get_by_role("button", name="Promote").click()
        seen.page.locator("dialog").get_by_role("button", name="Promote").click()
        expect(seen.page.locator("#rollouts tbody tr")).to_contain_text("Succeeded", timeout=30_000)
        assert mesh.weights() == (0, 100)

        seen.go("timeline")
        asked = seen.page.get_by_role("button", name="promote at step 2/3")
        expect(asked).to_be_visible()
        seen.says("by Ada L")
        asked.click()
        seen.says("policies/rollout.yaml", "+  step: 2")
        seen.go("plan")
        expect(seen.page.locator(".headline")).to_contain_text(re.compile("Nothing to do|Carried out"))
