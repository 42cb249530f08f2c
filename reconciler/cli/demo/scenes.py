"""The story, scene by scene. Each scene shows one thing and has the witness check what it claims.

It acts only as a user would: commits, merges, commands, and one act of sabotage. How things work is not its business.
"""

from __future__ import annotations

import time

from reconciler.cli.demo.canaries import BAD, RULES, Canaries
from reconciler.cli.demo.example import next_version, weigh
from reconciler.cli.demo.instances import CALLER, DETAILS, Instances
from reconciler.cli.demo.journey import FOLLOWED, shown
from reconciler.cli.demo.receipts import RECORD
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Tally
from reconciler.cli.demo.witness import CONFIDENCE, Witness, claim, none_failed
from reconciler.settings import shipped

GATEWAY, CALLEE = "ingressgateway", "reviews-v1"
WAY = (GATEWAY, CALLER, CALLER, "details-v1", CALLER, CALLEE)
"""Who logs a request for the page: whoever takes it in, and whoever sends it on to somebody else's sidecar."""
ADDED = "policies/details/v2.yaml"

_DAEMON = ("--interval", "500ms", "--drift-interval", "3s")
_ALL = 100
_TELLING = ("live on", "aborted:")
"""What commits of the record branch say that tell the story; the others keep what was measured on the way."""
_TYPO = (b"weight:", b"wieght:")


class Play:
    """One performance on one stage."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._clone = stage.clone
        self._witness = Witness(stage, screen)
        self._canaries = Canaries(stage, screen, self._witness)
        self._instances = Instances(stage, screen, self._witness)
        self._ordered = 0
        self._daemon = f"reconcile daemon {' '.join(('--ads', stage.ads, '--http', stage.http, *_DAEMON))}"

    def run(self, *, keep: bool) -> None:
        """All scenes; with `keep`, then wait for Ctrl-C.

        Raises:
            ClaimError: A claim did not hold.
            ReconcilerError: Something broke.
        """
        self._start()
        self._way_of_a_request()
        with self._screen.watching(self._last_second), self._witness.traffic:
            self._split()
            self._preview()
            self._merge()
            self._sabotage()
            self._mistake()
            self._crash()
            self._canaries.good()
            self._ordered = self._canaries.bad()
            self._canaries.recalled()
            self._newcomer()
            self._instances.play()
            if keep:
                self._memory()
                self._stay()
        self._memory()
        self._sum_up()

    def log_tail(self) -> str:
        """The end of the daemon's log, for when something went wrong."""
        return "\n".join(self._witness.log().splitlines()[-15:])

    def _start(self) -> None:
        screen = self._screen
        screen.scene("Git says what should be, Envoy says what is")
        screen.say(
            f"{len(self._stage.envoys)} Envoys run, with bootstraps that the product rendered. They know nothing yet."
        )
        streams = sum(proxy.spec.push.ads is not None for proxy in self._stage.mesh.proxies)
        screen.say(f"{streams} of them, the sidecars, look for the daemon's ADS server; the gateway reads files.")
        screen.command(self._daemon)
        self._witness.start_daemon(*_DAEMON)
        self._witness.proven(self._clone.tip("main"), since="the start", gathering=True)
        screen.say(f"All of this can be watched in a browser, too: http://{self._stage.http}/")

    def _way_of_a_request(self) -> None:
        screen, arrow = self._screen, self._screen.glyphs.arrow
        screen.scene("One request, from sidecar to sidecar and back")
        screen.say(
            f"client {arrow} gateway {arrow} productpage {arrow} details, reviews {arrow} ratings (v2 only), "
            "an Envoy beside each"
        )
        screen.command(f"curl --user-agent {FOLLOWED} http://127.0.0.1:{self._stage.gateway}/productpage")
        journey = self._witness.followed(WAY)
        screen.say(f"What the Envoys logged with x-request-id {journey.request}:")
        screen.quote("\n".join(shown(journey, arrow)))
        departure = next(hop for hop in journey.hops if hop.outbound and journey.arrival(hop) == journey.hops[-1])
        screen.proof(
            f"{departure.proxy}'s sidecar went by TCP connection {departure.went[0]} {arrow} {departure.went[1]}; "
            f"{CALLEE}'s logged the same."
        )
        screen.proof(f"Counters of all {len(self._stage.envoys)} Envoys, before and after: these {len(WAY)} grew by 1.")

    def _split(self) -> None:
        self._screen.scene("Traffic flows")
        self._screen.say(
            f"A split is right if it lies in the {CONFIDENCE:.2%} interval of what Git says; a request that fails unasked ends the show."
        )
        self._witness.measured({"v1": 100, "v2": 0})

    def _preview(self) -> None:
        screen = self._screen
        screen.scene("A branch asks for 10% on reviews v2, and the preview says what that will do")
        self._clone.branch("canary")
        self._clone.commit("Try reviews v2 with 10% of the traffic", {RULES: self._weighed(90, 10)})
        screen.command("git diff main canary")
        screen.quote(_changed_lines(self._clone.git("diff", "--unified=0", "--color=never", "main", "canary")))
        arguments = ("--dry-run", "--against", "main", "--ref", "canary")
        screen.command(f"reconcile {' '.join(arguments)}")
        done = self._witness.untouched(lambda: self._stage.reconcile(*arguments))
        screen.quote(done.out)
        claim(done.code == 0, f"the preview exits with {done.code}: {done.err}")
        claim("0 to create, 1 to update, 0 to delete" in done.out, "the preview shows more or less than one route")
        screen.proof("One route on one proxy would change. No branch and no proxy was touched.")

    def _merge(self) -> None:
        self._screen.scene("Merging it moves the traffic")
        self._screen.command("git merge canary && git push")
        self._witness.proven(self._clone.merge("canary", "Merge canary: reviews v2 at 10%"))
        self._witness.measured({"v1": 90, "v2": 10})

    def _sabotage(self) -> None:
        screen = self._screen
        screen.scene("Somebody edits a live Envoy by hand")
        screen.say(
            f"The route file of {GATEWAY} is replaced by one that answers every request with a maintenance page."
        )
        seen = len(self._witness.log())
        seconds, tally = self._witness.repaired(GATEWAY)
        claim(tally.versions == {"": tally.requests}, f"the edit by hand did not reach all users: {tally.versions}")
        screen.say(f"{tally.requests} of {tally.requests} users saw nothing else while it lasted.")
        screen.proof(f"The daemon saw the drift, and had put it right after {seconds:.1f} s. Its log:")
        self._witness.until(lambda: "repair drift" in self._witness.log()[seen:], "the daemon to log what it repaired")
        screen.quote(_logged(self._witness.log()[seen:]))
        self._witness.measured({"v1": 90, "v2": 10})

    def _mistake(self) -> None:
        screen = self._screen
        screen.scene("A mistake on main is refused, and traffic flows on")
        text = self._clone.read(RULES)
        place = f"{RULES}:{text[: text.index(_TYPO[0])].count(bytes([10])) + 1}:"
        seen = len(self._witness.log())
        screen.command('git commit -m "Adjust the weights" && git push')
        self._clone.commit("Adjust the weights", {RULES: text.replace(*_TYPO, 1)})
        self._witness.until(lambda: place in self._witness.log()[seen:], "the daemon to name the mistake")
        screen.quote(_diagnostic(self._witness.log()[seen:]))
        screen.proof("Nothing was pushed. Every Envoy keeps the last good configuration.")
        self._witness.measured({"v1": 90, "v2": 10})
        screen.command("git revert HEAD && git push")
        self._clone.revert()

    def _crash(self) -> None:
        screen, witness = self._screen, self._witness
        screen.scene("The daemon is killed; the next one sends what changed, and no more")
        screen.command("kill -9 $DAEMON")
        witness.kill_daemon()
        subject = "reviews v2 10% -> 25%"
        screen.command(f'git commit -m "{subject}" && git push')
        commit = self._clone.commit(subject, {RULES: self._weighed(75, 25)})
        witness.measured({"v1": 90, "v2": 10})
        screen.say("Nobody has pushed that yet: the Envoys go on with what they have.")
        screen.command(self._daemon)

        def take_over() -> None:
            witness.start_daemon(*_DAEMON)
            witness.proven(commit, since="the start", gathering=True)

        sent = witness.changed(take_over)
        one_route = [proxy for proxy, what in sent.elements() if ".rds." in what] == [CALLER] and sent.total() == 1
        claim(one_route, f"the new daemon sent something else than one route: {dict(sent)}")
        screen.proof(f"One route configuration was sent, to {CALLER}. All else was there, and was not sent again.")
        witness.measured({"v1": 75, "v2": 25})
        screen.command("reconcile status")
        done = self._stage.reconcile("status")
        screen.quote(done.out)
        witness.connected(done.out, commit)

    def _newcomer(self) -> None:
        screen, witness = self._screen, self._witness
        screen.scene("A new instance comes, and its callers hear of it")
        screen.say(f"{ADDED} describes one more instance of details. Its application and its Envoy run, and wait.")
        self._stage.enlist(ADDED, next_version((shipped("policies") / "details" / "v1.yaml").read_bytes()))
        witness.awaited("default/details-v2")
        screen.command('git commit -m "Add details v2" && git push')

        def join() -> None:
            witness.proven(self._clone.commit("Add details v2", {}))

        sent = witness.changed(join)
        claim(
            sent == {(CALLER, f"cluster.{DETAILS}"): 1},
            f"something else than one list of endpoints was sent: {dict(sent)}",
        )
        screen.proof(f"The endpoints of details were sent to {CALLER}, which calls it. Nobody else was sent anything.")
        witness.shared("details", "details-v2")

    def _memory(self) -> None:
        self._screen.scene("Git remembers what people asked for, and what was proven live")
        for branch, words in (("main", ()), (RECORD, _TELLING)):
            chosen = "".join(f"--grep='{word}' " for word in words)
            self._screen.command(f"git log --oneline {chosen}{branch}")
            self._screen.quote("\n".join(self._clone.log(branch, count=_ALL, grep=words)))

    def _sum_up(self) -> None:
        screen, tally = self._screen, self._witness.traffic.tally()
        none_failed(tally, ordered=self._ordered)
        counts = self._stage.counts()
        counted = sum(count for name, count in counts.items() if name.startswith("reviews-"))
        pages = tally.versions[""]
        served = tally.requests - pages + 1  # Ada's was before them
        claim(counted == served, f"{served} requests were for the applications, which counted {counted}")
        screen.scene("The sum")
        screen.proof(
            f"{tally.requests:,} requests, each answered once: {self._ordered} failed by {BAD} as it was told, "
            "0 others failed, 0 lost, 0 repeated."
        )
        screen.say(
            f"{pages:,} were answered by the maintenance page of the edited gateway, all others by the applications."
        )
        screen.say(f"Half of them took {_ms(tally, 0.5)}, 99% no more than {_ms(tally, 0.99)}.")
        screen.ending("How to go on")
        screen.command("reconcile demo --keep          # the same, and then it is yours to play with")
        screen.command("reconcile validate FOLDER      # check policies of your own")
        screen.command("reconcile --help")

    def _stay(self) -> None:
        """Leave everything running until Ctrl-C."""
        screen, stage = self._screen, self._stage
        screen.ending("It is yours now, until Ctrl-C")
        screen.say(f"In a browser: http://{stage.http}/")
        screen.command(f"cd {self._clone.path}    # edit {RULES}, commit, push")
        screen.command(f"reconcile status --repo {stage.repo} --daemon {stage.control}")
        screen.command(f"reconcile services details --repo {stage.repo} --daemon {stage.control}")
        screen.command(f"reconcile rollout show reviews --repo {stage.repo}")
        screen.command(f"reconcile --dry-run --repo {stage.repo}")
        screen.command(f"reconcile --repo {stage.repo} --daemon {stage.control}")
        screen.command(f"curl http://127.0.0.1:{stage.gateway}/productpage")
        screen.command(f"cat {self._instances.file}    # the instances of details that are not in Git: edit it")
        screen.command(f"tail -f {stage.root / 'daemon.log'}")
        while self._witness.daemon is not None:
            self._witness.daemon.check()
            time.sleep(0.5)

    def _weighed(self, v1: int, v2: int) -> bytes:
        return weigh(self._clone.read(RULES), {"v1": v1, "v2": v2})

    def _last_second(self) -> Tally:
        return self._witness.traffic.tally(time.monotonic() - 1)


def _ms(tally: Tally, part: float) -> str:
    return f"{tally.percentile(part) * 1000:.1f} ms"


def _changed_lines(diff: str) -> str:
    """Only the lines that a diff adds and removes, without the comments at their ends."""
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}]
    return "\n".join(line.split("  #")[0].rstrip() for line in changed)


def _logged(log: str) -> str:
    """Lines of a log without their time stamps and levels."""
    return "\n".join(line.split(maxsplit=2)[-1] for line in log.splitlines())


def _diagnostic(log: str) -> str:
    """The first diagnostic of a log, without its time stamp, and its hint."""
    lines = log.splitlines()
    first = next(index for index, line in enumerate(lines) if f"{RULES}:" in line)
    hint = [line for line in lines[first + 1 : first + 2] if line.startswith("    ")]
    return "\n".join([lines[first][lines[first].index(RULES) :], *hint])
