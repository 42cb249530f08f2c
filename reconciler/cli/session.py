"""What a verb needs to work with a repository and a fleet, built from settings and closed at its end."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from reconciler.cli.progress import Line, watcher
from reconciler.clock import Clock, SystemClock
from reconciler.cycle import Ask, Compiler, Discovery, Fleet, Reconciler, Report, preview
from reconciler.cycle.notifier import Notifier
from reconciler.cycle.trust import Trust
from reconciler.discovery import Newest, Registries
from reconciler.errors import Diagnostic, UsageError
from reconciler.gitrepo import open_repository
from reconciler.model.tree import Tree
from reconciler.plan import diagnostic_text
from reconciler.policy import FolderTree
from reconciler.push import Channel
from reconciler.settings import Settings
from reconciler.xds import Plane

_SETTLE = 5.0
_LOGGER = logging.getLogger("reconciler")


def _complain(found: Diagnostic) -> None:
    """What could not be told is a line of the log: no pass fails for it."""
    _LOGGER.warning("%s", diagnostic_text(found))


def _name(location: str) -> str:
    """Of the file in which it is remembered what the registries of a repository list."""
    return hashlib.sha256(str(location).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _saying_nothing() -> logging.Logger:
    """For a command whose plan says of registries what there is to say."""
    logger = logging.getLogger("reconciler.registries")
    logger.setLevel(logging.CRITICAL)
    return logger


class Session:
    """The product put together for one command.

    Args:
        quiet: Show no progress, even to a person: the command logs instead.
        plane: Where proxies on ADS are published to; only a daemon has one.
        newest: The newest endpoints, which the plane sends; a daemon's, which brings them to proxies between passes.

    Attributes:
        discovery: What registries list. None is asked before a mesh names one.
        told: Called, on any thread, when they list something else.
    """

    def __init__(
        self, settings: Settings, *, quiet: bool = False, plane: Plane | None = None, newest: Newest | None = None
    ) -> None:
        self.settings = settings
        self._quiet = quiet
        self.plane = plane
        self.told: Callable[[], None] = lambda: None
        self.clock: Clock = SystemClock()
        self.compiler = Compiler()
        self._stack = ExitStack()
        self.repository = self._stack.enter_context(open_repository(settings.repo, settings.git))
        self.progress = Line() if quiet else self._stack.enter_context(watcher(sys.stderr))
        self.fleet = self._stack.enter_context(Fleet(settings.admin, self.clock, plane=plane))
        registries = Registries(
            clock=self.clock,
            cache=settings.git.cache / "registries" / f"{_name(self.repository.location)}.sqlite",
            on_change=self._tell,
            log=_LOGGER if quiet else _saying_nothing(),
        )
        self._stack.callback(registries.close)
        channel = None
        if newest is not None:
            channel = Channel(plane=plane, fresh=newest.fresh, clock=self.clock, settings=settings.admin)
            self._stack.callback(channel.close)
        self.discovery = Discovery(registries, newest, channel=channel, accounts=self.compiler.accounts)
        self._notifier = Notifier(_complain)
        self._stack.callback(self._notifier.close)

    def reconciler(self, *, settle: float = _SETTLE) -> Reconciler:
        """Something that runs passes.

        Args:
            settle: Seconds that a pass waits until people are told of rollouts; for a daemon, which goes on, 0.
        """
        reconciler = Reconciler(
            repository=self.repository,
            compiler=self.compiler,
            fleet=self.fleet,
            clock=self.clock,
            settings=self.settings,
            progress=self.progress,
            plane=self.plane,
            notifier=self._notifier,
            settle=settle,
            discovery=self.discovery,
        )
        if self._quiet and (held := reconciler.trust.own_key()) is not None:
            _complain(held)
        return reconciler

    def _tell(self) -> None:
        self.told()

    def preview(self, ask: Ask, against: str) -> Report:
        """An offline comparison of two commits, with what would keep the newer one from being applied."""
        report = preview(
            ask,
            against,
            repository=self.repository,
            compiler=self.compiler,
            progress=self.progress,
            now=self.clock.now(),
        )
        if ask.tree is not None or not report.head:
            return report
        trust = Trust(self.repository, self.settings.trust, self.clock)
        return replace(report, errors=(*trust.findings(report.head), *report.errors))

    def work_tree(self) -> Tree:
        """The uncommitted files of a local checkout.

        Raises:
            UsageError: The repository is bare, or elsewhere.
        """
        root = self.repository.work_tree
        if root is None:
            raise UsageError(
                f"{self.settings.repo} has no work tree to preview",
                hint="name a local checkout with --repo, or preview a branch with --ref",
            )
        return FolderTree(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
