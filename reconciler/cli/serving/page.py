"""What the page stands on beside status and services, put together over a session and its loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.clock import rfc3339

if TYPE_CHECKING:
    from reconciler.cli.serving.history import History
    from reconciler.cli.serving.plans import Plans
    from reconciler.cli.serving.traffic import Traffic
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.model.key import Key
    from reconciler.web import Notices

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DaemonViews:
    """What `web.Views` asks for, each part by whoever knows it."""

    history: History
    plans: Plans
    flow: Traffic

    def rollouts(self) -> Document:
        """See `History.rollouts`."""
        return self.history.rollouts()

    def rollout(self, namespace: str, name: str) -> Document:
        """See `History.rollout`."""
        return self.history.rollout(namespace, name)

    def timeline(self, *, before: str, limit: int) -> Document:
        """See `History.timeline`."""
        return self.history.timeline(before=before, limit=limit)

    def commit(self, commit: str) -> Document:
        """See `History.commit`."""
        return self.history.commit(commit)

    def plan(self) -> Document:
        """See `Plans.plan`."""
        return self.plans.plan()

    def traffic(self) -> Document:
        """See `Traffic.traffic`."""
        return self.flow.traffic()


@contextmanager
def page_parts(
    loop: Daemon, session: Session, ref: str, *, admins: Callable[[], Mapping[Key, str]], record: Callable[[], str]
) -> Iterator[tuple[DaemonViews, Notices]]:
    """The views, and the notices of what changes. Whoever serves the notices closes them before the server stops.

    Args:
        loop: Watched from now on.
        session: Whose repository is opened once more, to be read beside passes.
        ref: The policy branch.
        admins: Admin endpoints by proxy, at this instant.
        record: Names the record branch, at this instant.

    Raises:
        ReconcilerError: The repository can't be opened.
    """
    from reconciler.cli.serving.history import History
    from reconciler.cli.serving.notices import KINDS, PageObserver
    from reconciler.cli.serving.plans import Plans
    from reconciler.cli.serving.sampler import Sampler
    from reconciler.cli.serving.traffic import Traffic
    from reconciler.gitrepo import open_repository
    from reconciler.web import Notices

    with ExitStack() as stack:
        repository = stack.enter_context(open_repository(session.settings.repo, session.settings.git))
        sampler = Sampler(admins, session.settings.admin, session.clock)
        stack.callback(sampler.close)
        notices = Notices(KINDS)
        stack.callback(notices.close)
        loop.watch(PageObserver(notices))
        yield (
            DaemonViews(
                History(repository, ref, record=record, clock=session.clock),
                Plans(lambda: loop.state),
                Traffic(
                    lambda: session.discovery.inventory, sampler, lambda: rfc3339(session.clock.now(), timespec="auto")
                ),
            ),
            notices,
        )
