"""What changes policies and rollouts over HTTP, and shows receipts, put together over a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from reconciler.clock import rfc3339
from reconciler.errors import InputError

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.cycle.commanding import Command as CommandOnCourse
    from reconciler.cycle.editing import Desk, Requester
    from reconciler.gitrepo import Repository
    from reconciler.model.key import Key
    from reconciler.model.receipt import Receipt
    from reconciler.web.routes.rollouts import Command

_SINCE = 0


class UnknownReceiptError(InputError):
    """The page of receipts that is asked for begins at a commit that there is not."""

    default_code = "receipt-unknown"


@dataclass(frozen=True, slots=True)
class Editing:
    """The parts of an offer that this file makes."""

    desk: Desk
    commands: RolloutCommands
    receipts: ReceiptPages


@contextmanager
def editing_parts(
    session: Session, ref: str, *, record: Callable[[], str], written: Callable[[], None]
) -> Iterator[Editing]:
    """What writes to the policy branch as whoever asks.

    Args:
        session: Whose repository is opened once more, to be read beside passes.
        ref: The policy branch.
        record: Names the record branch, at this instant.
        written: Called when the branch has a new commit.

    Raises:
        ReconcilerError: The repository can't be opened.
    """
    from reconciler.cycle import Compiler
    from reconciler.cycle.editing import Desk, Judge, Pulls
    from reconciler.cycle.trust import Trust
    from reconciler.gitrepo import open_repository

    git, plane = session.settings.git, session.plane
    with open_repository(session.settings.repo, git) as repository:
        judge = Judge(repository, Compiler(), announced=plane.joined if plane is not None else tuple)
        writer = partial(_writer, session)
        desk = Desk(
            repository,
            writer,
            ref,
            judge=judge,
            clock=session.clock,
            pulls=Pulls(session.clock),
            attempts=git.push_attempts,
            written=written,
            vouched=Trust(repository, session.settings.trust, session.clock).require,
        )
        yield Editing(desk, RolloutCommands(session, ref, writer, written), ReceiptPages(repository, record))


@contextmanager
def _writer(session: Session, by: Requester) -> Iterator[Repository]:
    """The repository, with commits by whoever asks, made and signed by the daemon.

    Raises:
        RefusedChangeError: Commits have to be signed and its own would not count: such a head would not be applied, and hold up everything.
    """
    from reconciler.cycle.editing.errors import RefusedChangeError
    from reconciler.cycle.trust import Trust
    from reconciler.gitrepo import open_repository

    git = session.settings.git
    if by.identity is not None:
        git = replace(git, author=by.identity, committer=git.committer or git.author)
    with open_repository(session.settings.repo, git) as repository:
        if (held := Trust(repository, session.settings.trust, session.clock).own_key()) is not None:
            raise RefusedChangeError(
                f"commits of this daemon would not count: {held.message}", hint=held.hint or "change policies in Git"
            )
        yield repository


class RolloutCommands:
    """What people ask of rollouts, over HTTP; see `web.routes.rollouts.Commands`."""

    def __init__(
        self, session: Session, ref: str, writer: Callable[[Requester], Any], written: Callable[[], None]
    ) -> None:
        self._session = session
        self._ref = ref
        self._writer = writer
        self._written = written

    def __call__(
        self, command: Command, key: Key, *, full: bool, run: str, dry_run: bool, by: Requester
    ) -> Mapping[str, Any]:
        """Carry one out.

        Raises:
            UnknownRolloutError, CommandError: It does not fit.
            RefusedChangeError: The branch takes no commits from here.
            ReconcilerError: Git can't be read or written.
        """
        from reconciler.cycle.commanding import ask
        from reconciler.cycle.editing.errors import RefusedChangeError
        from reconciler.cycle.editing.messages import REQUESTED_BY
        from reconciler.cycle.trust import Trust, UntrustedError
        from reconciler.gitrepo import DirtyWorkTreeError
        from reconciler.rollouts import commands

        verbs: Mapping[str, CommandOnCourse] = {
            "promote": commands.promote_full if full else commands.promote,
            "pause": commands.pause,
            "resume": commands.resume,
            "abort": commands.abort,
            "retry": partial(commands.retry, run=run),
        }
        with self._writer(by) as repository:
            try:
                asked = ask(
                    repository,
                    self._ref,
                    key,
                    verbs[command],
                    clock=self._session.clock,
                    attempts=self._session.settings.git.push_attempts,
                    dry_run=dry_run,
                    trailers=[f"{REQUESTED_BY}: {by.token}"],
                    vouched=Trust(repository, self._session.settings.trust, self._session.clock).require,
                )
            except (DirtyWorkTreeError, UntrustedError) as error:
                raise RefusedChangeError(diagnostics=error.diagnostics) from error
        if asked.errors:
            raise RefusedChangeError(diagnostics=asked.errors)
        if asked.commit:
            self._written()
        return asked.document(command, self._ref, rollout=key.name, namespace=key.namespace)


class ReceiptPages:
    """Receipts, a page at a time; see `web.routes.receipts.Receipts`."""

    def __init__(self, repository: Repository, record: Callable[[], str]) -> None:
        self._repository = repository
        self._record = record

    def __call__(self, *, before: str, limit: int) -> Mapping[str, Any]:
        """One page.

        Raises:
            UnknownReceiptError: There is no such commit.
            ReconcilerError: Git can't be read.
        """
        from datetime import UTC, datetime

        from reconciler.gitrepo import CorruptRepositoryError
        from reconciler.record import Record

        record = Record(self._repository, self._record(), attempts=1)
        try:
            found = list(islice(record.history(datetime.fromtimestamp(_SINCE, UTC), before=before), limit + 1))
        except CorruptRepositoryError as error:
            raise UnknownReceiptError(f"there is no commit {before}", hint="begin without `before`") from error
        page = found[:limit]
        return {
            "schema_version": 1,
            "branch": self._record(),
            "receipts": [_receipt(item) for item in page],
            "next": page[-1].commit if len(found) > limit else None,
        }


def _receipt(item: Receipt) -> dict[str, Any]:
    return {
        "commit": item.commit,
        "at": rfc3339(item.at),
        "subject": item.subject,
        "policy_commit": item.policy_commit,
        "plan_digest": item.plan_digest,
        "outcome": item.outcome,
        "proxies": [
            {"namespace": key.namespace, "name": key.name, "outcome": str(entry.outcome), "proof": str(entry.proof)}
            for key, entry in sorted(item.proxies.items())
        ],
    }
