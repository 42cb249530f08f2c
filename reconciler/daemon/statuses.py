"""Saying on the forge how the policy commits stand: an observer of passes with a thread of its own, never in their way.

The newest word of a commit replaces one that still waits. What the forge does not take now is tried again with growing pauses, and is
one line in the log until it works. A commit that was live everywhere once stays so: a proxy that fails a month later is no news about
that commit. Nothing is kept on disk; a new process asks the forge what it says already.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from reconciler.clock import Clock
from reconciler.cycle import Report
from reconciler.cycle.standing import Standing, standing, superseded
from reconciler.daemon.log import log_fault
from reconciler.errors import PermanentError, ReconcilerError
from reconciler.forge import Conversation, ForgePermissionError, ForgeUnavailableError, StatusState
from reconciler.plan import visible

_MOST = 20
"""Commits that are remembered, and so the longest queue."""
_LONGEST = 3600.0
_LASTING = 24 * 3600.0
"""Seconds after which a word that nobody takes is given up."""
_FREE = 3
"""Words of one commit that are said at once; each further one waits, so that a proxy that comes and goes makes no thousand."""


@dataclass(slots=True, eq=False)
class _Commit:
    """What is known of one commit.

    Attributes:
        said: What the forge says of it, as far as we know.
        wanted: What it should say; None if there is nothing to do.
        since: When that was first wanted.
        not_before: When it may be said.
        words: How many words of it were sent.
        pause: Seconds until a word that was not taken is tried again.
        heads: The heads of the pull requests that brought it, which have its status too.
        known: Whether the forge was asked what it says already.
        over: Whether it was live everywhere; then there is nothing to add.
    """

    said: Standing | None = None
    wanted: Standing | None = None
    since: float = 0.0
    not_before: float = 0.0
    words: int = 0
    pause: float = 0.0
    heads: tuple[str, ...] = ()
    known: bool = False
    over: bool = False


@dataclass(slots=True, eq=False)
class _Log:
    """Trouble, said once."""

    logger: logging.Logger
    told: set[str] = field(default_factory=set)

    def trouble(self, error: ReconcilerError, what: str) -> None:
        if error.code not in self.told:
            self.told.add(error.code)
            self.logger.warning("the forge is not told %s: %s [%s]", what, visible(error.message), error.code)

    def well(self) -> None:
        if self.told:
            self.told.clear()
            self.logger.info("the forge is told again how commits stand")


class Statuses:
    """Sets the status of policy commits. An `Observer`; `start` it and `stop` it.

    Args:
        forge: Who is told; is closed with this, by its thread.
        context: Which status.
        clock: For pauses.
        logger: For trouble.
        first_pause: Seconds until what the forge refused is tried again; doubles up to an hour. Also the pause before the fourth word
            of a commit.
    """

    def __init__(
        self, forge: Conversation, *, context: str, clock: Clock, logger: logging.Logger, first_pause: float = 10.0
    ) -> None:
        self._forge = forge
        self._context = context
        self._clock = clock
        self._log = _Log(logger)
        self._first_pause = first_pause
        self._commits: OrderedDict[str, _Commit] = OrderedDict()
        self._changed = threading.Condition()
        self._stopping = False
        # A daemon: a process that wants to end does not wait for a forge.
        self._thread = threading.Thread(target=self._serve, name="statuses", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, patience: float = 1.0) -> None:
        """End. What was not said is found out again by the next process, which looks at the same head."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(patience)

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:  # noqa: ARG002 -- an observer's
        """A pass ended: the head may stand otherwise now. Returns at once."""
        found = standing(report) if whole else None
        if found is None:
            return
        with self._changed:
            self._want(found)
            if found.state is StatusState.SUCCESS:
                for commit, item in list(self._commits.items()):
                    last = item.wanted or item.said
                    if commit != found.commit and last is not None and last.state is StatusState.PENDING:
                        self._want(superseded(commit, found))
            self._changed.notify_all()

    def broken(self, error: Exception) -> None:
        """A pass ended by a fault of ours, which says nothing of any commit."""

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked, which says nothing of any commit."""

    def _want(self, found: Standing) -> None:
        item = self._commits.setdefault(found.commit, _Commit())
        self._commits.move_to_end(found.commit)
        while len(self._commits) > _MOST:
            self._commits.popitem(last=False)
        if item.over or found == (item.wanted or item.said):
            return
        if found == item.said:
            item.wanted = None
            return
        item.wanted, item.since = found, self._clock.monotonic()
        if found.state is StatusState.SUCCESS and not item.pause:
            item.not_before = 0.0  # the good news waits for nothing but a forge in trouble

    def _serve(self) -> None:
        try:
            while (due := self._next()) is not None:
                self._say(*due)
        finally:
            self._forge.close()

    def _next(self) -> tuple[_Commit, Standing] | None:
        """Wait for something to say, the newest commit first; None when it is time to end."""
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic()
                waiting = [item for item in reversed(self._commits.values()) if item.wanted is not None]
                for item in waiting:
                    if item.not_before <= now and item.wanted is not None:
                        return item, item.wanted
                self._changed.wait(min((item.not_before - now for item in waiting), default=None))
            return None

    def _say(self, item: _Commit, wanted: Standing) -> None:
        what = f"how {wanted.commit[:10]} stands"
        try:
            done = self._told(item, wanted)
        except ForgeUnavailableError as error:
            self._log.trouble(error, what)
            self._later(item, wanted, max(error.retry_after, self._first_pause / 10))
        except ReconcilerError as error:
            self._log.trouble(error, what)
            self._later(item, wanted, 0.0)
        except Exception as error:  # noqa: BLE001 -- one word's fault must not end all others
            log_fault(self._log.logger, f"saying {what}", error)
            self._later(item, wanted, _LONGEST)
        else:
            self._log.well()
            self._settle(item, done)

    def _told(self, item: _Commit, wanted: Standing) -> Standing:
        """Tell the forge; what it says of the commit afterwards."""
        if not item.known:
            state = self._forge.status(wanted.commit, context=self._context)
            item.known = True
            if state is StatusState.SUCCESS:
                return Standing(commit=wanted.commit, state=state, words="")
        self._set(wanted.commit, wanted)
        if not item.heads:  # a forge may know only a while later what it merged
            item.heads = self._heads(wanted.commit)
        for commit in item.heads:
            try:
                self._set(commit, wanted)
            except PermanentError as error:  # a fork's, or gone with its branch: the commit's own is what matters
                self._log.logger.info("the pull request at %s is not told: %s", commit[:10], visible(error.message))
        return wanted

    def _set(self, commit: str, wanted: Standing) -> None:
        self._forge.set_status(commit, context=self._context, state=wanted.state, description=wanted.words)

    def _heads(self, commit: str) -> tuple[str, ...]:
        """Heads of the pull requests that brought the commit; their own status is what people see on their page."""
        try:
            pulls = self._forge.landed_as(commit)
        except ForgePermissionError as error:
            self._log.logger.info("pull requests are not told: %s", visible(error.message))
            return ()
        except PermanentError:
            return ()
        return tuple(dict.fromkeys(pull.head_sha for pull in pulls if pull.head_sha not in {"", commit}))

    def _settle(self, item: _Commit, done: Standing) -> None:
        with self._changed:
            item.said, item.pause = done, 0.0
            item.words += 1
            item.over = done.state is StatusState.SUCCESS
            if item.over or item.wanted == done:
                item.wanted = None
            further = item.words - _FREE
            rest = min(self._first_pause * 2**further, _LONGEST) if further >= 0 else 0.0
            newest = item.wanted is not None and item.wanted.state is StatusState.SUCCESS
            item.not_before = 0.0 if newest else self._clock.monotonic() + rest

    def _later(self, item: _Commit, wanted: Standing, least: float) -> None:
        with self._changed:
            now = self._clock.monotonic()
            item.pause = min(max(item.pause * 2, self._first_pause), _LONGEST)
            item.not_before = now + (least or item.pause)
            if item.wanted == wanted and now - item.since > _LASTING:
                item.wanted = None
                self._log.logger.warning(
                    "the forge was not told for a day how %s stands; it is given up", wanted.commit[:10]
                )
