from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from reconciler.rollouts.commands import CommandError
from reconciler.web import Role
from tests.web.page import documents
from tests.web.page.browser import Tab, chromium, tab
from tests.web.page.daemon import Daemon, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def guarded(tmp_path: Path) -> Daemon:
    """A daemon with a tokens file."""
    daemon = Daemon()
    daemon.tokens = tmp_path / "tokens"
    return daemon


def sign_in(seen: Tab, token: str) -> None:
    seen.go("sign-in")
    seen.page.get_by_label("Token").fill(token)
    seen.page.get_by_role("button", name="Sign in").click()
    expect(seen.page.locator("#who")).to_contain_text("Ada L")


def test_whoever_may_only_look_is_shown_no_buttons(browser: Browser, guarded: Daemon) -> None:
    """Nobody in particular, and a token that reads, see everything and are offered nothing."""
    with serving(guarded), tab(browser, guarded.address) as seen:
        seen.go("rollouts")
        seen.says("a person has to promote it")
        assert seen.page.locator("main button").count() == 0
        sign_in(seen, guarded.token(Role.READ))
        seen.go("rollouts")
        seen.says("a person has to promote it")
        assert seen.page.locator("main button").count() == 0


VERBS = [
    ("promote", "Progressing", ["from step 2 of 4 (pause until promoted) to the next: setWeight 100", "by you"]),
    ("pause", "Progressing", ["stays at 25% for v2"]),
    ("resume", "Paused", ["goes on at step 2 of 4"]),
    ("abort", "Progressing", ["All traffic goes back to v1 at once: v2 gets 0% instead of 25%"]),
    ("retry", "Aborted", ["begins at the first step (setWeight 25)"]),
]


def test_what_is_asked_is_said_first_and_then_done_once(browser: Browser, guarded: Daemon) -> None:
    """A dialog says what will happen; Cancel does nothing, and the button does it, by who is signed in."""
    with serving(guarded), tab(browser, guarded.address) as seen:
        sign_in(seen, guarded.token(Role.READ, Role.OPERATE))
        for verb, phase, said in VERBS:
            guarded.said["rollouts"]["rollouts"] = [documents.row(phase=phase)]
            guarded.said["rollout"] = documents.rollout(phase=phase)
            guarded.notices.tell("rollout", {})
            seen.go("rollouts")
            button = seen.page.get_by_role("button", name=verb.capitalize(), exact=True)
            dialog = seen.page.locator("dialog")
            button.click()
            for words in said:
                expect(dialog).to_contain_text(words)
            dialog.get_by_role("button", name="Cancel").click()
            expect(dialog).to_be_hidden()
            assert guarded.asked == []
            button.click()
            dialog.get_by_role("button", name=verb.capitalize()).click()
            expect(dialog).to_be_hidden()
            assert guarded.asked == [(verb, "default/reviews", "Ada L")]
            guarded.asked.clear()
            expect(seen.page.locator("#live")).to_contain_text(f"{verb.capitalize()}: asked for")


def test_a_promotion_takes_nothing_but_a_keyboard(browser: Browser, guarded: Daemon) -> None:
    """From the top of the page: skip to the content, to the button, into the dialog, out of it again, and through it."""
    guarded.said["rollouts"]["rollouts"] = [documents.row()]
    with serving(guarded), tab(browser, guarded.address) as seen:
        sign_in(seen, guarded.token(Role.READ, Role.OPERATE))
        seen.go("rollouts")
        seen.says("a person has to promote it")
        keyboard, focused = seen.page.keyboard, "document.activeElement.textContent.trim()"
        seen.page.reload()
        seen.says("a person has to promote it")
        keyboard.press("Tab")
        assert seen.run(focused) == "Skip to the content"
        keyboard.press("Enter")
        assert seen.run("document.activeElement.id") == "main"
        for _ in range(10):
            keyboard.press("Tab")
            if seen.run(focused) == "Promote":
                break
        assert seen.run(focused) == "Promote"
        assert seen.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        keyboard.press("Enter")
        expect(seen.page.locator("dialog")).to_be_visible()
        assert seen.accessibility() == []
        keyboard.press("Escape")
        expect(seen.page.locator("dialog")).to_be_hidden()
        assert seen.run(focused) == "Promote"
        keyboard.press("Enter")
        assert seen.run(focused) == "Cancel"  # whoever presses Enter once too often has done nothing
        keyboard.press("Tab")
        keyboard.press("Enter")
        expect(seen.page.locator("dialog")).to_be_hidden()
        assert guarded.asked == [("promote", "default/reviews", "Ada L")]


def test_what_the_daemon_refuses_is_said_where_it_was_asked(browser: Browser, guarded: Daemon) -> None:
    """The dialog stays, with the reason in it, and nothing has happened."""
    guarded.no = CommandError("default/reviews is told to go on already", hint="see what it waits for")
    with serving(guarded), tab(browser, guarded.address) as seen:
        seen.expected = ("Failed to load resource",)
        sign_in(seen, guarded.token(Role.READ, Role.OPERATE))
        seen.go("rollouts")
        seen.page.get_by_role("button", name="Promote").click()
        dialog = seen.page.locator("dialog")
        dialog.get_by_role("button", name="Promote").click()
        expect(dialog.get_by_role("alert")).to_contain_text("told to go on already; see what it waits for")
        expect(dialog).to_be_visible()
        assert guarded.asked == []


def test_a_session_without_its_value_changes_nothing(browser: Browser, guarded: Daemon) -> None:
    """A page that has the cookie and not the CSRF value, as another site's would, is refused; so is another value."""
    post = """(value) => fetch("/v1/rollouts/default/reviews/abort", {method: "POST", headers: value === null ? {} : {"X-Reconcile-CSRF": value}})
        .then((reply) => reply.json().then((said) => [reply.status, said.errors[0].code]))"""
    with serving(guarded), tab(browser, guarded.address) as seen:
        seen.expected = ("Failed to load resource",)
        sign_in(seen, guarded.token(Role.READ, Role.OPERATE))
        for value in (None, "", "guessed"):
            assert seen.page.evaluate(post, value) == [403, "http-csrf"]
        assert guarded.asked == []
        assert seen.run("document.cookie") == ""  # scripts can't read the session


def test_a_daemon_that_wants_to_know_who_asks_shows_its_door(browser: Browser, guarded: Daemon) -> None:
    """Without a token nothing is shown but the form; a bad one is refused in words, a good one opens, signing out closes again."""
    with serving(guarded, anonymous=False), tab(browser, guarded.address) as seen:
        seen.expected = ("Failed to load resource",)
        seen.go("fleet")
        seen.says("This daemon wants to know who asks")
        assert seen.accessibility() == []
        seen.page.get_by_label("Token").fill("rec_0_" + "x" * 43)
        seen.page.get_by_role("button", name="Sign in").click()
        expect(seen.page.get_by_role("alert")).not_to_be_empty()
        sign_in(seen, guarded.token(Role.READ))
        expect(seen.page.locator("#proxies tbody tr")).to_have_count(6)
        expect(seen.page.locator("#link")).to_have_text("live")
        seen.page.get_by_role("button", name="Sign out").click()
        seen.says("This daemon wants to know who asks")
        assert seen.page.locator("#proxies").count() == 0


def test_what_changes_is_shown_without_a_reload_and_without_disturbing(browser: Browser) -> None:
    """A notice changes what it is about; focus, what was written, and what is open stay."""
    daemon = Daemon()
    with serving(daemon), tab(browser, daemon.address) as seen:
        seen.go("fleet")
        expect(seen.page.locator("#link")).to_have_text("live")
        field = seen.page.get_by_label("Filter")
        field.fill("reviews-0")
        seen.run("window.same = document.querySelector('#proxies tbody tr')")
        daemon.document = documents.status()
        daemon.document["proxies"][1] |= {"detail": "another reason"}
        daemon.notices.tell("proxy", {"read": ["/v1/status"]})
        seen.says("another reason")
        expect(field).to_be_focused()
        expect(field).to_have_value("reviews-0")
        assert seen.run("window.same.isConnected") is True
        seen.go("rollouts")
        daemon.said["rollouts"] = documents.rollouts()
        daemon.said["rollouts"]["rollouts"][0] |= {"weight": 60.0, "step": 2}
        daemon.notices.tell("rollout", {"read": ["/v1/rollouts"]})
        expect(seen.page.locator("#rollouts tbody tr").first).to_contain_text("60%")
        expect(seen.page.locator("#live")).to_contain_text("reviews: Progressing, step 3 of 4, 60%")


def test_one_page_too_many_reads_now_and_then(browser: Browser) -> None:
    """A daemon that tells nobody more is not asked again and again; everything is shown all the same."""
    daemon = Daemon()
    with serving(daemon, watchers=0), tab(browser, daemon.address) as seen:
        seen.expected = ("Failed to load resource",)
        asked: list[str] = []
        seen.page.on("request", lambda request: asked.append(request.url) if "events" in request.url else None)
        seen.go("fleet")
        expect(seen.page.locator("#proxies tbody tr")).to_have_count(6)
        expect(seen.page.locator("#link")).to_have_text("read now and then")
        assert 1 <= len(asked) <= 4


def test_a_daemon_that_goes_is_missed_and_found_again(browser: Browser) -> None:
    """What was known stays and says how old it is; the next daemon on the same address is found by the page itself."""
    daemon = Daemon()
    with serving(daemon):
        address = daemon.address
        opened = tab(browser, address)
        seen = opened.__enter__()
        seen.go("fleet")
        expect(seen.page.locator("#link")).to_have_text("live")
    try:
        seen.expected = ("Failed to load resource",)
        expect(seen.page.locator("#banner")).to_contain_text("Not connected since")
        expect(seen.page.locator("main")).to_have_class("stale")
        expect(seen.page.locator("#proxies tbody tr")).to_have_count(6)
        assert seen.accessibility() == []
        daemon.document = documents.status(9)
        with serving(daemon, at=address):
            expect(seen.page.locator("#proxies tbody tr")).to_have_count(9)
            expect(seen.page.locator("#banner")).not_to_contain_text("Not connected")
            expect(seen.page.locator("#link")).to_have_text("live")
    finally:
        opened.__exit__(None, None, None)
