"""Policies over HTTP: read as Git has them, and written as commits of those who ask.

A write is: look at the head, see that the policy is as its writer has seen it, change its bytes, judge the whole, commit on top of
that head. Whoever is faster in between is looked at anew; only if they changed this very policy is the write refused. The caller's
commit counts by compare-and-swap, so several processes may write at the same time.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from reconciler.clock import Clock
from reconciler.cycle.committing import branch_of, fetched_head, until_won
from reconciler.cycle.diffs import diff_of
from reconciler.cycle.editing.catalogue import Catalogue, Entry, shown, unknown
from reconciler.cycle.editing.changing import Changed, changed, require_own
from reconciler.cycle.editing.errors import DeskBusyError, RefusedChangeError
from reconciler.cycle.editing.judging import Judge, Judgement
from reconciler.cycle.editing.messages import message_of
from reconciler.cycle.editing.pulls import Pulls
from reconciler.cycle.editing.wishes import Action, Done, Requester, Shown, Wish
from reconciler.cycle.trust import UntrustedError
from reconciler.errors import Diagnostic
from reconciler.gitrepo import EDITS, DirtyWorkTreeError, PushRefusedError, Repository
from reconciler.model.key import Key
from reconciler.model.plan import Plan
from reconciler.plan import as_json
from reconciler.policy.files import POLICIES

_PATIENCE = 30.0
_PROPOSE = "send it with `propose=true`, for somebody to merge"

Writer = Callable[[Requester], AbstractContextManager[Repository]]


class Desk:
    """Where policies are read and written.

    Args:
        repository: To read; threads share it.
        writer: The same repository, which commits as whoever asks.
        ref: The policy branch.
        judge: What a change comes to. Writes take turns for it.
        clock: For commits, and for pauses after a lost race.
        pulls: Opens pull requests.
        attempts: How often somebody else may be faster.
        written: Called after a commit to the policy branch.
        patience: Seconds that a write waits for its turn.
        vouched: Refuses a head by an `UntrustedError` that nobody who may has signed: our signature on top would vouch for it.
    """

    def __init__(
        self,
        repository: Repository,
        writer: Writer,
        ref: str,
        *,
        judge: Judge,
        clock: Clock,
        pulls: Pulls,
        attempts: int,
        written: Callable[[], None] = lambda: None,
        patience: float = _PATIENCE,
        vouched: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._repository = repository
        self._writer = writer
        self._ref = ref
        self._branch = branch_of(ref)
        self._judge = judge
        self._clock = clock
        self._pulls = pulls
        self._attempts = attempts
        self._written = written
        self._patience = patience
        self._vouched = vouched
        self._catalogue = Catalogue()
        self._turn = threading.Lock()

    def entries(self) -> tuple[str, tuple[Entry, ...]]:
        """The commit that the branch is at, and all its policies by kind, namespace and name.

        Raises:
            ReconcilerError: Git can't be read.
        """
        head = self._repository.resolve(self._ref)
        found = self._catalogue.entries(self._repository.tree(head))
        return head, tuple(sorted(found, key=lambda entry: entry.order))

    def read(self, kind: str, key: Key) -> Shown:
        """One policy as the branch has it.

        Raises:
            UnknownPolicyError: There is none.
            RefusedChangeError: There are several, or it can't be told from its neighbours.
            ReconcilerError: Git can't be read.
        """
        head = self._repository.resolve(self._ref)
        entry = self._catalogue.find(self._repository.tree(head), kind, key)
        if entry is None:
            raise unknown(kind, key)
        return shown(entry, self._repository.read(head, entry.file) or b"", head)

    def write(self, wish: Wish) -> Done:
        """Carry one change out.

        Raises:
            PreconditionError, PolicyTextError, PolicyPlaceError, EditingQueryError: The wish does not fit; nothing was written.
            InvalidResultError: The policies would have errors.
            RefusedChangeError: A guard, the repository or the file refuses it.
            DeskBusyError, RaceLostError: Others were faster each time.
            ReconcilerError: Git can't be read or written.
        """
        require_own(wish)
        message_of(wish, Action.UPDATE)  # what can't be said is an error before anything is done
        done, judgement = self._tried(wish)
        if not wish.propose or not done.commit or judgement is None:
            return done
        opened = self._pulls.open(  # takes as long as the forge does, and holds up nobody
            judgement.mesh.record.forge, head=done.branch, base=self._branch, message=done.message, plan=judgement.plan
        )
        return replace(done, pull=opened.url, notes=(*done.notes, *opened.notes))

    def _tried(self, wish: Wish) -> tuple[Done, Judgement | None]:
        with self._my_turn(), self._writer(wish.by) as repository:
            return until_won(lambda: self._once(wish, repository), clock=self._clock, attempts=self._attempts)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._patience):
            raise DeskBusyError("others change policies right now", hint="send it again in a moment")
        try:
            yield
        finally:
            self._turn.release()

    def _once(self, wish: Wish, repository: Repository) -> tuple[Done, Judgement | None]:
        head = fetched_head(repository, self._ref)
        tree = repository.tree(head)
        made = changed(
            wish,
            self._catalogue.find(tree, wish.kind, wish.key),
            tree.files(POLICIES),
            lambda path: repository.read(head, path),
            head,
        )
        if made.action is Action.NONE:
            return Done(action=made.action, branch=self._branch, file=made.file, tag=made.tag), None
        files = {made.file: made.after}
        judgement = self._judge.judge(head, files, allow=wish.allow)
        refused = judgement.plan.refused if judgement.plan is not None else ()
        if refused and not wish.propose and not wish.dry_run:
            raise RefusedChangeError(diagnostics=[_overridable(item) for item in refused])
        message = message_of(wish, made.action)
        if wish.dry_run:
            return _done(made, judgement, message=message), judgement
        self._require_vouched(head)
        if wish.propose:
            return self._proposed(made, judgement, repository, head=head, message=message), judgement
        commit = self._committed(repository, head, made, message)
        self._written()
        return _done(made, judgement, message=message, commit=commit, branch=self._branch), judgement

    def _require_vouched(self, head: str) -> None:
        try:
            self._vouched(head)
        except UntrustedError as error:
            raise RefusedChangeError(diagnostics=error.diagnostics) from error

    def _committed(self, repository: Repository, head: str, made: Changed, message: str) -> str:
        try:
            return repository.commit(
                self._branch, expect=head, files={made.file: made.after}, message=message, at=self._clock.now()
            )
        except PushRefusedError as error:
            raise RefusedChangeError(
                f"{self._branch} takes no commits from here: {error.message}", hint=_PROPOSE
            ) from error
        except DirtyWorkTreeError as error:
            raise RefusedChangeError(diagnostics=error.diagnostics) from error

    def _proposed(
        self, made: Changed, judgement: Judgement, repository: Repository, *, head: str, message: str
    ) -> Done:
        branch = f"{EDITS}{secrets.token_hex(8)}"
        files = {made.file: made.after}
        try:
            commit = repository.propose(  # unsigned: nobody has looked at it yet, and our signature would count
                branch, expect=None, parent=head, files=files, message=message, at=self._clock.now(), signed=False
            )
        except PushRefusedError as error:
            raise RefusedChangeError(diagnostics=error.diagnostics) from error
        refused = [item.demoted() for item in judgement.plan.refused] if judgement.plan is not None else []
        done = _done(made, judgement, message=message, commit=commit, branch=branch)
        return replace(done, notes=(*done.notes, *refused))


def _done(made: Changed, judgement: Judgement, *, message: str, commit: str = "", branch: str = "") -> Done:
    return Done(
        action=made.action,
        commit=commit,
        branch=branch,
        file=made.file,
        tag=made.tag,
        message=message,
        diff=diff_of({made.file: made.before}, {made.file: made.after}),
        plan=_plain(judgement.plan, commit),
        notes=judgement.warnings,
    )


def _plain(plan: Plan | None, commit: str) -> dict[str, Any] | None:
    """The plan was made of files; once they are committed it is that commit's."""
    return {**as_json(plan), "commit": commit} if plan is not None else None


def _overridable(item: Diagnostic) -> Diagnostic:
    """A guard's refusal with how it is overridden from here, beside how it is where there is a command line or a commit."""
    return replace(item, hint=f"{item.hint}; in a request with `?allow={item.code}`, which takes the role `operate`")
