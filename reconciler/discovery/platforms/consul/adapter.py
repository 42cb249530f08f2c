"""The watch of Consul: two long polls say what may have changed, and that is asked for again, over three connections in all."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing
from functools import partial

from reconciler.discovery.contract import Alive, Event, Problem, Snapshot, Stopping, Surroundings
from reconciler.discovery.platforms.consul.asking import CHECKS, NAMES, Answer, Questions
from reconciler.discovery.platforms.consul.holdings import Holdings, checks_in, names_in
from reconciler.discovery.platforms.consul.polling import Polls
from reconciler.discovery.platforms.consul.reading import NonsenseError
from reconciler.errors import Diagnostic, Severity
from reconciler.http import HttpClient
from reconciler.model.discovery import Consul
from reconciler.settings import AdminSettings

_WAIT = 20.0
_PATIENCE = AdminSettings(connect_timeout=3.0, read_timeout=7.0)
_AT_ONCE = 200
_PER_SECOND = 250
_SHOWN = 5


class ConsulAdapter:
    """See the package.

    Args:
        spec: Where Consul is, and what of it matters.
        around: Its name, for messages.
        wait: Seconds that a long poll is kept back at most; so often `Alive` is said.
        patience: Seconds that any other answer may take.
    """

    def __init__(
        self, spec: Consul, around: Surroundings, *, wait: float = _WAIT, patience: AdminSettings = _PATIENCE
    ) -> None:
        self._spec = spec
        self._registry = around.registry
        self._questions = Questions(spec, registry=around.registry, wait=wait)
        self._settings = AdminSettings(
            connect_timeout=patience.connect_timeout, read_timeout=patience.read_timeout, ca=spec.ca
        )

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """See Adapter."""
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(HttpClient(self._spec.address, self._settings))) for _ in range(3)]
            polls = Polls()
            stack.callback(polls.join)
            for end in (polls.end, *(client.abort for client in clients)):
                stack.callback(end)
                stack.enter_context(stopping.closing(end))
            try:
                yield from _Watch(self._spec, self._registry, self._questions, polls, clients).events(stopping)
            except Exception:
                if not stopping.is_set():
                    raise


class _Watch:
    """One run of `watch`: what is known, and what is due to be asked for again."""

    def __init__(
        self, spec: Consul, registry: str, questions: Questions, polls: Polls, clients: list[HttpClient]
    ) -> None:
        self._spec = spec
        self._registry = registry
        self._questions = questions
        self._polls = polls
        self._client, self._for_names, self._for_checks = clients
        self._known = Holdings(spec)
        self._due: dict[str, None] = {}
        self._allowed, self._counted = float(_AT_ONCE), time.monotonic()
        self._lively: dict[str, None] = {}
        self._filtered: set[str] = set()
        self._problem: Diagnostic | None = None

    def events(self, stopping: Stopping) -> Iterator[Event]:
        """All of them."""
        names, checks = self._begin()
        yield Snapshot(self._known.services)
        yield from self._problems()
        self._polls.add("names", partial(self._questions.ask, self._for_names, NAMES), names)
        self._polls.add("checks", partial(self._questions.ask, self._for_checks, CHECKS), checks)
        while not stopping.is_set():
            news = self._polls.take(self._pause() if self._due else None)
            began = time.thread_time()
            said = False
            for event in self._take(news.answers):
                said = True
                yield event
            if news.answered and not said:
                yield Alive()
            self._polls.worked(time.thread_time() - began)

    def _pause(self) -> float:
        """Seconds until one more service may be asked for that may have changed, or may not."""
        now = time.monotonic()
        self._allowed = min(_AT_ONCE, self._allowed + (now - self._counted) * _PER_SECOND)
        self._counted = now
        return 0 if self._allowed >= 1 else 1 / _PER_SECOND

    def _begin(self) -> tuple[Answer, Answer]:
        names = self._questions.ask(self._client, NAMES)
        checks = self._questions.ask(self._client, CHECKS)
        self._read("names", names)
        self._read("checks", checks)
        hosts = frozenset[str]().union(*(self._ask_for(name) for name in self._known.names))
        list(self._known.told(hosts))
        return names, checks

    def _take(self, answers: dict[str, Answer]) -> Iterator[Event]:
        """Ask for what has surely changed, then for some of what may have; tell what has."""
        suspects: dict[str, None] = {}
        for name in sorted(answers):
            suspects |= dict.fromkeys(sorted(self._read(name, answers[name])))
            if name == "names" or not answers[name].index:
                self._doubt()
        yield from self._again(suspects)
        if not suspects and self._due:  # one at a time: what is surely new goes first as soon as it is known
            self._allowed -= 1
            yield from self._again([next(iter(self._due))])
        yield from self._problems()

    def _doubt(self) -> None:
        """Any service may have changed: those that did lately are asked for first."""
        for name in (*reversed(self._lively), *self._known.names):
            self._due.setdefault(name)

    def _again(self, names: Collection[str]) -> Iterator[Event]:
        for name in names:
            self._due.pop(name, None)
            gone = name not in self._known.names
            for event in self._known.told(self._known.drop(name) if gone else self._ask_for(name)):
                self._lively.pop(name, None)
                self._lively[name] = None
                yield event
            if gone:
                self._lively.pop(name, None)
                self._filtered.discard(f"service {name}")

    def _ask_for(self, name: str) -> frozenset[str]:
        answer = self._questions.ask(self._client, self._questions.instances(name))
        self._note(f"service {name}", answer)
        try:
            return self._known.put(name, answer.document)
        except NonsenseError as error:
            raise self._questions.nonsense(error) from None

    def _read(self, name: str, answer: Answer) -> frozenset[str]:
        self._note(name, answer)
        try:
            if name == "names":
                return self._known.list_names(names_in(answer.document, self._spec))
            return self._known.list_checks(checks_in(answer.document))
        except NonsenseError as error:
            raise self._questions.nonsense(error) from None

    def _note(self, question: str, answer: Answer) -> None:
        (self._filtered.add if answer.filtered else self._filtered.discard)(question)

    def _problems(self) -> Iterator[Problem]:
        """What is left out, if that is something else than before."""
        texts = [*(["the token may not see all services"] if self._filtered else []), *self._known.problems]
        more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        diagnostic = Diagnostic(
            code="discovery-entries",
            message=f"{self._registry}: {'; '.join(texts[:_SHOWN])}{more}",
            severity=Severity.WARNING,
            hint="mend how they are registered in Consul; they are left out",
        )
        problem = diagnostic if texts else None
        if problem != self._problem:
            self._problem = problem
            yield Problem(problem)
