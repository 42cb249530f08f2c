"""The story's two canaries that walk by themselves: one to its end, and one that evidence stops on the way.

A person commits what is to happen and then only looks on; one act of sabotage makes the second application fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from reconciler.cli.demo.example import succeeded_by, weigh
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Tally
from reconciler.cli.demo.walk import Event, Landed, Left, Live, Stretch, Walk
from reconciler.cli.demo.witness import Witness, claim, none_failed, split_as
from reconciler.model.rollout import Phase

RULES = "policies/reviews/traffic.yaml"
FILE = "policies/reviews/rollout.yaml"
ROLLOUT = b"""\
# Moves the split in traffic.yaml step by step; every step is a commit.
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata:
  name: reviews
spec:
  target:
    virtualService: {name: reviews}
  stable: v1
  canary: v2
  analysis: {templates: [{templateName: golden-signals}]}     # goes on all the while
  steps:
  - setWeight: 1
  - pause: {duration: 3s}
  - setWeight: 10
  - analysis: {templates: [{templateName: golden-signals}]}   # has to pass before the next step
  - setWeight: 50
  - pause: {duration: 3s}
  - setWeight: 100
---
apiVersion: reconciler/v1alpha1
kind: AnalysisTemplate
metadata:
  name: golden-signals
spec:
  metrics:
  - name: request-success-rate   # counted by the Envoys of those who call reviews
    interval: 1s
    minRequests: 40              # fewer say nothing
    thresholdRange: {min: 99}    # percent
"""
BAD, SHARE, AT = "v3", 0.5, 10.0
"""Which version fails, what share of its requests, and from which percentage of the traffic on."""

_ENOUGH = 200
"""Requests that a split is measured by at least; one that gives way to the next at once is not."""
_PATIENCE = 90.0
_GAP = 0.05
_AUTHOR = 16
_HEAD, _TAIL = 9, 6


class Canaries:
    """Both scenes, on one stage."""

    def __init__(self, stage: Stage, screen: Screen, witness: Witness) -> None:
        self._stage = stage
        self._screen = screen
        self._clone = stage.clone
        self._witness = witness

    def good(self) -> None:
        """From 1% to 100% by itself."""
        screen = self._screen
        screen.scene("From here the canary walks by itself: 1%, 10%, 50%, 100%")
        screen.say(
            "One commit gives the 25% back to v1, and says how v2 is to get all of it, and what it has to prove:"
        )
        screen.quote(_spec(ROLLOUT))
        begin = time.monotonic()
        rules = weigh(self._clone.read(RULES), {"v1": 100, "v2": 0})
        walk = self._begin("Let reviews v2 walk to 100%", {FILE: ROLLOUT, RULES: rules})
        self._follow(walk, lambda: walk.phase is Phase.SUCCEEDED, "the canary to arrive")
        none_failed(self._witness.traffic.tally(begin))
        self._witness.measured({"v1": 0, "v2": 100})

    def bad(self) -> int:
        """Stopped by evidence.

        Returns:
            How many requests were failed by order meanwhile, all of which users saw.
        """
        screen = self._screen
        screen.scene("The next canary turns bad on its way, and evidence stops it")
        self._clone.pull()
        rules = succeeded_by(self._clone.read(RULES), "v1", "v3")
        screen.say("The same steps, now from v2 to v3: another stable and canary begin another run.")
        walk = self._begin("Let reviews v3 walk to 100%", {FILE: onward(self._clone.read(FILE)), RULES: rules})
        self._follow(walk, lambda: _at(walk.stretch, AT), f"{BAD} to have {AT:g}%")
        begin = time.monotonic()
        self._stage.fail(f"reviews-{BAD}", SHARE)
        screen.say(f"From now on the application of {BAD} answers every second request with 500. Nobody is told.")
        self._follow(walk, lambda: walk.phase is Phase.ABORTED and bool(walk.stretch.proof), "the canary to be aborted")
        screen.command("git log -1 main")
        screen.quote(self._clone.git(f"--git-dir={self._clone.remote}", "log", "-1", "--format=%B", "main").strip())
        self._witness.measured({"v2": 100, BAD: 0})
        return self._accounted(self._witness.traffic.tally(), begin)

    def recalled(self) -> None:
        """What Git alone tells of the last run, after the fact."""
        self._screen.command(f"reconcile rollout show reviews | head -{_HEAD}")
        self._screen.quote("\n".join(self._told("show").splitlines()[:_HEAD]))
        self._screen.command(f"reconcile rollout history reviews | grep main | tail -{_TAIL}")
        steps = [line for line in self._told("history").splitlines() if "main" in line]
        self._screen.quote("\n".join(steps[-_TAIL:]))
        self._clone.pull()

    def _begin(self, message: str, files: dict[str, bytes]) -> Walk:
        """Commit what begins a run, and follow it from there."""
        before = self._clone.tip("main")
        self._screen.command(f'git commit -m "{message}" && git push')
        self._clone.commit(message, files)
        self._screen.say("Nobody touches anything now. What lands on main, and who wrote it:")
        return Walk(self._clone, rules=RULES, rollout=FILE, seen=before)

    def _follow(self, walk: Walk, arrived: Callable[[], bool], what: str) -> None:
        """Show what happens until something has; hold each split that was left against what its requests came to."""

        def there() -> bool:
            time.sleep(_GAP)
            for event in walk.look():
                self._tell(event)
            return arrived()

        self._witness.until(there, what, patience=_PATIENCE)

    def _tell(self, event: Event) -> None:
        screen = self._screen
        match event:
            case Landed(commit, author, subject):
                screen.quote(f"{commit[:7]}  {author:<{_AUTHOR}}  {subject}")
            case Live(stretch):
                screen.proof(stretch.proof)
            case Left(stretch):
                self._measure(stretch)

    def _measure(self, stretch: Stretch) -> None:
        """What came of the requests while a split was live everywhere, from its first receipt until it was last seen on main."""
        tally = self._witness.traffic.tally(stretch.live, until=stretch.last)
        if not stretch.proof or tally.requests < _ENOUGH:
            return
        weights = dict(sorted(stretch.weights.items()))
        if not tally.ordered:
            self._witness.shown_split(tally, weights)
            return
        none_failed(tally, ordered=tally.ordered)
        split_as(tally, weights, failing=BAD)
        had = tally.versions[BAD] + tally.ordered
        self._screen.proof(
            f"{BAD} had its {weights[BAD]:g}%, {had} of {tally.requests} requests, and failed {tally.ordered} of them."
        )

    def _accounted(self, tally: Tally, begin: float) -> int:
        """Hold every failed request since the beginning of the show against what the application says that it failed."""
        ordered = self._stage.failures()
        claim(set(ordered) == {f"reviews-{BAD}"}, f"others than {BAD} failed by order: {dict(ordered)}")
        none_failed(tally, ordered=ordered.total())
        self._screen.proof(
            f"{tally.failed} requests failed, exactly those that {BAD} failed as it was told, "
            f"the last one {tally.failing[-1] - begin:.1f} s after that. No other did."
        )
        return ordered.total()

    def _told(self, verb: str) -> str:
        """What `reconcile rollout` says of reviews."""
        done = self._stage.reconcile("rollout", verb, "reviews")
        claim(done.code == 0, f"reconcile rollout {verb} exits with {done.code}: {done.err}")
        return done.out


def onward(rollout: bytes) -> bytes:
    """The same rollout one version further, for a run from v2 to v3; where the last run stands is left to the reconciler."""
    return rollout.replace(b"canary: v2", b"canary: v3", 1).replace(b"stable: v1", b"stable: v2", 1)


def _at(stretch: Stretch, percent: float) -> bool:
    return stretch.weights.get(BAD) == percent and bool(stretch.proof)


def _spec(text: bytes) -> str:
    """What is particular about a file of policies: without its first lines, and those that every document has."""
    usual = ("#", "apiVersion:", "metadata:", "  name: reviews", "spec:")
    return "\n".join(line for line in text.decode().splitlines() if not line.startswith(usual))
