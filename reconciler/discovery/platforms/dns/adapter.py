"""DNS as a registry: names whose addresses, or SRV records, are a service's instances, each asked again when its TTL is over.

What an answer means is in `records`, how it is got in `asking`. A name that does not exist has no instances; a name that can't be
asked for right now (no answer, SERVFAIL) keeps what it had, and is a Problem. A service is listed once all its names have been
answered. Only if no question at all is answered, the registry can't be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.discovery.contract import Alive, Event, Problem, Snapshot, Stopping, Surroundings
from reconciler.discovery.platforms.dns.asking import GIVE_UP, Asker, DnsError, Outcome, server
from reconciler.discovery.platforms.dns.records import Answer, Question, asked, read
from reconciler.discovery.platforms.prometheus.targets import changes, summary
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found
from reconciler.model.discovery import Dns


def build(spec: Dns, around: Surroundings) -> DnsAdapter:
    """The adapter for a registry of this kind; ValueError if one of its servers is none."""
    return DnsAdapter(spec, around)


@dataclass(slots=True)
class _Known:
    """What DNS has said, and what it does not say now."""

    answers: dict[Question, Answer] = field(default_factory=dict)
    failing: dict[Question, str] = field(default_factory=dict)

    def learn(self, outcomes: list[Outcome]) -> bool:
        """Whether anything is another way than it was."""
        changed = False
        for each in outcomes:
            if each.answer is None:
                changed |= self.failing.get(each.question) != each.why
                self.failing[each.question] = each.why
            else:
                changed |= self.answers.get(each.question) != each.answer or each.question in self.failing
                self.answers[each.question] = each.answer
                self.failing.pop(each.question, None)
        return changed

    def forget_all_but(self, wanted: frozenset[Question]) -> None:
        for store in (self.answers, self.failing):
            for question in [each for each in store if each not in wanted]:
                del store[question]

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """One for each question that fails."""
        return tuple(
            Diagnostic(code=DnsError.default_code, message=f"{question}: {why}", hint=_HINT)
            for question, why in sorted(self.failing.items(), key=lambda each: str(each[0]))
        )


_HINT = "see whether the server runs, and whether it knows the zone; what it said last is used until it answers"


class DnsAdapter:
    """See the module.

    Args:
        spec: The names, and who is asked.
        around: The mesh's domain.
        give_up: Seconds for one question, to all servers; a seam for tests.

    Raises:
        ValueError: A server is none.
    """

    def __init__(self, spec: Dns, around: Surroundings, *, give_up: float = GIVE_UP) -> None:
        self._give_up = give_up
        self._servers = [server(text) for text in spec.servers]
        self._spec = spec
        self._around = around

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """The services as DNS has them, and then what changes.

        Raises:
            DnsError: No question at all is answered, or there is nobody to ask.
        """
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            asker = runner.run(self._asker())
            try:
                with stopping.closing(lambda: _wake(loop, asker)):
                    yield from self._events(runner, asker, stopping)
            finally:
                runner.run(asker.end())

    def _events(self, runner: asyncio.Runner, asker: Asker, stopping: Stopping) -> Iterator[Event]:
        known = _Known()
        services: dict[str, Found] | None = None
        said: Diagnostic | None = None
        changed = True
        while not stopping.is_set():
            if changed:
                wanted = runner.run(self._want(asker, known))
                if known.failing.keys() >= wanted:
                    raise DnsError(diagnostics=known.problems)
            if changed and (services is not None or wanted <= known.answers.keys() | known.failing.keys()):
                reading = read(self._spec, known.answers, known.failing, domain=self._around.domain)
                problem = summary((*reading.problems, *known.problems))
                # What is not known (again) stays what it was; hosts come and go with the settings only.
                now = {**(services or {}), **reading.services}
                yield from [Snapshot(now, reading.unknown)] if services is None else changes(services, now)
                services = now
                if problem != said:
                    said = problem
                    yield Problem(problem)
            outcomes = runner.run(asker.outcomes())
            changed = known.learn(outcomes)
            if not changed and services is not None and any(each.answer is not None for each in outcomes):
                yield Alive()

    async def _asker(self) -> Asker:
        shortest, longest = self._spec.min_ttl.total_seconds(), self._spec.max_ttl.total_seconds()
        return Asker(self._servers, shortest=shortest, longest=max(shortest, longest), give_up=self._give_up)

    async def _want(self, asker: Asker, known: _Known) -> frozenset[Question]:
        wanted = asked(self._spec, known.answers)
        known.forget_all_but(wanted)
        asker.want(wanted)
        return wanted


def _wake(loop: asyncio.AbstractEventLoop, asker: Asker) -> None:
    loop.call_soon_threadsafe(asker.wake)
