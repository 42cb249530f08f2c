from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from reconciler.web import Role
from tests.web.page import documents
from tests.web.page.browser import PHONE, VIEWS, Tab, chromium, tab
from tests.web.page.daemon import Daemon, serving

MARKUP = "<img src=x onerror=\"window.ran=1;document.title='ran'\"><script>window.ran=2</script>"
RIGHT_TO_LEFT = "\u202eevil\u2066\u200f names"
HOSTILE = f"{MARKUP}{RIGHT_TO_LEFT}{'x' * 200}"
LEAKING = r"""[...document.querySelectorAll("body *")].filter((element) => !element.closest("svg, script")
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.includes("\u202e"))
    && !getComputedStyle(element).unicodeBidi.startsWith("isolate")).map((element) => element.outerHTML.slice(0, 200))"""
FREE = dict.fromkeys(
    (
        "proxy", "detail", "repository", "ref", "message", "hint", "file", "words", "name", "host", "to", "subset", "route",
        "reason", "waiting", "note", "subject", "by", "body", "path", "text", "label", "unit", "code", "trailer", "type",
        "registry", "kind", "stable", "canary", "version", "old", "new", "client", "variant", "namespace", "Proxies",
        "suspended", "frozen",
    ),
    HOSTILE,
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with serving(Daemon()) as served:
        yield served


SHOWN = {
    "fleet": ("4/6", "b2b2b2b2", "no such cluster: details", "drifted", "rejected", "yaml-syntax", "policies/a.yaml:3:9", "consul", "silent"),
    "services": ("productpage", "reviews", "75%", "76.0", "v1", "v2", "does not answer", "2/3", "3 callers"),
    "rollouts": ("25%", "a person has to promote it", "pause until promoted", "99.5 %", "≥ 95", "live on 6/6 proxies", "Aborted"),
    "timeline": ("reviews v2 live on 6/6 proxies", "Let reviews have a second version", "by Ada", "rollout"),
    "plan": ("A guard refuses this plan", "Reconcile-Allow: guard-weight", "virtual_hosts[reviews]", "90", "on 2 proxies", "away", "weights-sum"),
}  # fmt: skip


def test_each_view_shows_what_the_daemon_says(browser: Browser, daemon: Daemon) -> None:
    """All that the documents say and people need is there, under one heading, and nothing goes wrong on the way."""
    with tab(browser, daemon.address) as seen:
        for view in VIEWS:
            seen.go(view)
            seen.says(*SHOWN[view])
            assert seen.page.title() == f"{view.capitalize()} - envoy-reconciler"
            assert seen.page.locator("h1").count() == 1
            holding = ["Held: changes are suspended by Ada: incident 7", "Held: changes are frozen by nights"]
            assert seen.page.locator("#banner .banner").all_inner_texts() == holding
            assert seen.page.locator("nav a[aria-current=page]").inner_text().lower().startswith(view)
        seen.go("fleet")
        first = seen.page.locator("#proxies tbody tr").first
        expect(first).to_contain_text("rejected")  # those in trouble come first
        seen.page.get_by_label("Filter").fill("reviews-03")
        expect(seen.page.locator("#proxies tbody tr")).to_have_count(1)


def test_nobody_is_asked_to_sign_in_where_nobody_can(browser: Browser, daemon: Daemon) -> None:
    """Without a tokens file; whoever follows a link there is told how to get one."""
    with tab(browser, daemon.address) as seen:
        seen.go("fleet")
        expect(seen.page.locator("#who")).to_be_empty()
        seen.go("sign-in")
        seen.says("Nobody can sign in here", "--http-tokens FILE")
        assert seen.page.get_by_label("Token").count() == 0


def test_the_timeline_opens_commits_and_goes_back_in_time(browser: Browser, daemon: Daemon) -> None:
    """A commit shows its message and its diff, by a click, by a link and however old it is."""
    with tab(browser, daemon.address) as seen:
        seen.go("timeline")
        seen.page.get_by_role("button", name="canary(reviews)").click()
        seen.says(
            "Rollout: default/reviews",
            "-      weight: 5",
            "+      weight: 25",
            "too large, or no text",
            "and 2 files more",
        )
        assert seen.page.url.endswith(documents.HEAD)
        seen.page.get_by_role("button", name="Older").click()
        seen.says("The very first", "This is where it began.")
        seen.go(f"timeline/{'9' * 40}")
        seen.says("+      weight: 25")
        seen.expected = ("Failed to load resource",)
        seen.go(f"timeline/{'0' * 40}")
        seen.says("that is no commit")


def test_what_comes_from_yaml_and_commits_is_text_and_nothing_else(browser: Browser, daemon: Daemon) -> None:
    """Markup in names and messages is shown as it is written; no script runs, nothing is loaded, no direction leaks."""
    daemon.document = documents.changed(daemon.document, FREE)
    daemon.said = {name: documents.changed(said, FREE) for name, said in daemon.said.items()}
    daemon.said["rollouts"]["rollouts"] = daemon.said["rollouts"]["rollouts"][:1]
    daemon.said["rollouts"]["rollouts"][0] |= {"namespace": "default"}
    daemon.said["rollout"]["rollout"] |= {"namespace": "default"}
    for named in (daemon.said["rollouts"]["rollouts"][0], daemon.said["rollout"]["rollout"]):
        named["name"] = HOSTILE.replace("/", "")  # of which no path can have any
    with tab(browser, daemon.address, size=PHONE) as seen:
        for view in (*VIEWS, f"timeline/{documents.HEAD}"):
            seen.go(view)
            seen.says(MARKUP)
            expect(seen.page.locator("#banner")).to_contain_text(MARKUP)
            assert seen.page.locator("#banner img, main img, main script, main a[href^=javascript]").count() == 0, view
            assert seen.run("window.ran") is None
            assert "ran" not in seen.page.title()
            assert overflow(seen) <= 0, view
            assert seen.run(LEAKING) == [], view


def overflow(seen: Tab) -> int:
    """Pixels by which the page is wider than the screen."""
    return int(seen.run("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, scheme: Any, tmp_path: Path) -> None:
    """In every view, in the light and in the dark, with everything shown that there is to show."""
    daemon = Daemon(tokens=tmp_path / "tokens")
    daemon.token(Role.READ)
    with serving(daemon), tab(browser, daemon.address, color_scheme=scheme, reduced_motion="reduce") as seen:
        for view in ("fleet", "services", "rollouts", f"timeline/{documents.HEAD}", "plan", "sign-in"):
            seen.go(view)
            if view in SHOWN:
                seen.says(SHOWN[view][0])
            found = seen.accessibility() if scheme == "light" else seen.accessibility("color-contrast")
            assert found == [], (view, scheme)  # in the dark, nothing else is other than in the light
        ground = seen.run("getComputedStyle(document.body).backgroundColor")
        assert (max(int(part) for part in ground[4:-1].split(",")) < 64) is (scheme == "dark")


def test_a_phone_shows_everything_without_scrolling_sideways(browser: Browser, daemon: Daemon) -> None:
    """360 pixels are enough: rows become cards whose values say what they are, and keep the roles of a table."""
    with tab(browser, daemon.address, size=PHONE) as seen:
        for view in (*VIEWS, f"timeline/{documents.HEAD}"):
            seen.go(view)
            seen.says(SHOWN.get(view, ("canary(reviews)",))[0])
            assert overflow(seen) <= 0, view
        seen.go("fleet")
        assert seen.page.locator("#proxies [role=row]").count() == 7


def test_motion_is_spared_whom_it_disturbs(browser: Browser, daemon: Daemon) -> None:
    """The graph's lines flow, unless their reader has asked for less."""
    moving = "getComputedStyle(document.querySelector('.edge.busy path')).animationName"
    for wish, name in (("no-preference", "flow"), ("reduce", "none")):
        with tab(browser, daemon.address, reduced_motion=wish) as seen:
            seen.go("services")
            expect(seen.page.locator(".edge.busy")).to_have_count(3)
            assert seen.run(moving) == name


def test_the_first_view_of_fifty_proxies_is_small(browser: Browser) -> None:
    """Under 200 KB over the wire, data and all; a second look asks whether the files are still the same, and gets no body."""
    daemon = Daemon()
    daemon.document = documents.status(50)
    with serving(daemon), tab(browser, daemon.address) as seen:
        network = seen.page.context.new_cdp_session(seen.page)
        network.send("Network.enable")
        sizes: list[float] = []
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        seen.go("fleet")
        expect(seen.page.locator("#proxies tbody tr")).to_have_count(50)
        first = sum(sizes)
        assert 50_000 < first < 200_000
        sizes.clear()
        seen.page.reload()
        expect(seen.page.locator("#proxies tbody tr")).to_have_count(50)
        assert sum(sizes) < first - 60_000


def test_a_daemon_without_anything_says_so(browser: Browser) -> None:
    """Empty documents are shown as what they mean, and not as empty tables."""
    daemon = Daemon()
    daemon.document = documents.status() | {
        "proxies": [],
        "registries": [],
        "pass": None,
        "ready": False,
        "reason": "the first pass has not ended",
    }
    daemon.said["rollouts"] |= {"rollouts": []}
    daemon.said["traffic"] |= {"services": [], "edges": [], "silent": []}
    daemon.said["timeline"] |= {"entries": [], "next": None}
    daemon.said["plan"] |= {"state": "nothing", "proxies": [], "refused": [], "acknowledge": [], "warnings": []}
    words = {
        "fleet": "No proxy belongs to this fleet yet", "services": "Nobody has called a service yet", "rollouts": "No rollout is on this branch",
        "timeline": "Nothing has been committed yet", "plan": "Nothing to do",
    }  # fmt: skip
    with serving(daemon), tab(browser, daemon.address) as seen:
        for view, expected in words.items():
            seen.go(view)
            seen.says(expected)
        expect(seen.page.locator("#banner")).to_contain_text("the first pass has not ended")
