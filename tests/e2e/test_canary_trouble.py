"""Canaries in trouble: a branch that can't be used, proxies that are down or start anew, people who are faster."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.canary import Canary, Load
from tests.e2e.rig import git

BACKGROUND = "analysis: {templates: [{templateName: golden-signals}]}"


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """Two gateways as callers in front of two versions; v1 serves everything."""
    with Canary(tmp_path_factory.mktemp("c"), gateways=2) as canary:
        yield canary


def all_on_stable(load: Load) -> bool:
    return load.last(100).keys() == {(200, "v1")}


@pytest.mark.long
def test_an_abort_needs_no_branch_that_can_be_used(canary: Canary) -> None:
    """Traffic is back on stable at once, the record says so, and another process knows; main follows when somebody has mended it."""
    canary.commit(canary.rollout("setWeight: 30", "pause: {}", fields=BACKGROUND), "Roll v2 out")
    with canary.load() as load, canary.load("edge-2") as other:
        back = _aborted_on_a_broken_branch(canary, load, other)
        with canary.daemon(log="second.log"):
            canary.pull()
            canary.commit({"policies/broken.yaml": None}, "Mend it")
            canary.until("Aborted")
            canary.wait(lambda: load.since(back).total() > 300, "more traffic")
    assert canary.weights() == (100, 0)
    for seen in (load, other):
        assert seen.since(back).keys() == {(200, "v1")}
    assert "request-success-rate failed" in canary.status()["reason"], canary.status()


def _aborted_on_a_broken_branch(canary: Canary, load: Load, other: Load) -> float:
    """The time from which on no request may reach v2."""
    with canary.daemon():
        canary.wait(lambda: load.all()[200, "v2"] > 20, "v2 gets its share")
        canary.pull()
        broken = canary.commit({"policies/broken.yaml": "kind: [\n"}, "A slip of the pen")
        canary.wait(lambda: "broken.yaml" in canary.log(), "the slip is noticed")
        canary.upstreams["v2"].fail = 0.5
        canary.wait(lambda: all_on_stable(load) and all_on_stable(other), "all traffic on stable")
        back = time.monotonic()
        assert "aborted:" in canary.evidence()
        assert any("aborted" in line for line in canary.receipts()), canary.receipts()
        assert git("-C", str(canary.repo), "rev-parse", "main").strip() == broken
        assert (canary.phase(), canary.weights()) == ("Progressing", (70, 30))
        return back


@pytest.mark.long
def test_an_abort_waits_for_no_proxy_that_is_down(canary: Canary) -> None:
    """The others are back on stable at once, and main says so; the one that comes back follows."""
    canary.commit(canary.rollout("setWeight: 30", "pause: {}", fields=BACKGROUND), "Roll v2 out")
    with canary.daemon(), canary.load() as load:
        canary.wait(lambda: load.all()[200, "v2"] > 20, "v2 gets its share")
        canary.wait(lambda: "live on 2/2" in canary.receipts()[0] or "verified" in canary.receipts()[0], "it is live")
        canary.envoys["edge-2"].kill()
        canary.upstreams["v2"].fail = 0.5
        canary.wait(lambda: all_on_stable(load), "all traffic on stable")
        canary.until("Aborted")
        assert canary.weights() == (100, 0)
        canary.wait(lambda: "outcome: unreachable" in canary.recorded("edge-2"), "it is known who is missing")
        canary.start("edge-2")
        with canary.load("edge-2") as other:
            canary.wait(lambda: all_on_stable(other), "the other follows")
        canary.wait(lambda: "outcome: applied" in canary.recorded("edge-2"), "the record says so")
    assert canary.phase() == "Aborted"


def faster(canary: Canary, path: str, old: str, new: str, message: str) -> None:
    """A person's commit that lands just before the next push to main: the server learns of it while it looks at that push."""
    canary.pull()
    text = (canary.clone / path).read_text()
    assert old in text, text
    commit = canary.commit({path: text.replace(old, new)}, message, branch="side")
    (canary.repo / "first").write_text(commit)
    hook = canary.repo / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(FASTER)
    hook.chmod(0o755)


FASTER = """\
#!/bin/sh
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
while read -r old new ref; do
  if [ "$ref" = refs/heads/main ] && [ -e first ]; then
    git update-ref refs/heads/main "$(cat first)" "$old" && mv first done
  fi
done
"""


@pytest.mark.long
@pytest.mark.parametrize("what", ["a-timeout", "the-weight"])
def test_a_person_who_is_faster_is_heard(canary: Canary, what: str) -> None:
    """A step whose push came too late is decided again on top of what they wrote: kept, merged by nobody, or a reason to pause."""
    remote = ("--repo", canary.repo.as_uri(), "--cache", str(canary.folder / "cache"))
    steps = ("setWeight: 20", "pause: {duration: 3s}", "setWeight: 60", "pause: {}")
    canary.commit(canary.rollout(*steps), "Roll v2 out")
    with canary.daemon(*remote):
        canary.wait(lambda: canary.status().get("step") == "1", "the pause")
        if what == "a-timeout":
            faster(canary, "policies/routes.yaml", "    route:\n", "    timeout: 3s\n    route:\n", "A timeout")
            canary.wait(lambda: canary.weights() == (40, 60), "the second weight")
            assert canary.phase() == "Progressing"
            assert "timeout: 3s" in canary.main("policies/routes.yaml")
        else:
            faster(canary, "policies/routes.yaml", "weight: 20", "weight: 30", "More")
            canary.until("Paused")
            assert "Pat moved the weight" in canary.status()["reason"], canary.status()
            assert canary.weights() == (80, 30)
    assert (canary.repo / "done").exists()
    walked = canary.walked()
    assert walked[3] == ("A timeout" if what == "a-timeout" else "More"), walked
    assert len(walked) in {5, 6}, walked
    assert git("-C", str(canary.repo), "log", "--merges", "--format=%s", "main") == ""
