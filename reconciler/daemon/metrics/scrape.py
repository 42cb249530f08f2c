"""What is known at the moment of a scrape. Nothing is kept here: what has left the fleet has no series any more.

Every function yields families with their samples, and is pure, given the sources.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

import reconciler
from reconciler.cycle import Report
from reconciler.cycle.past import weight_of
from reconciler.cycle.standstill import held
from reconciler.daemon.metrics import families
from reconciler.daemon.metrics.families import MOST_CODES, MOST_SERIES, Family
from reconciler.daemon.metrics.sources import Sources
from reconciler.daemon.metrics.tally import Tally, converged
from reconciler.daemon.state import State
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Knowledge
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.receipt import OutcomeKind
from reconciler.model.rollout import Phase
from reconciler.rollouts.course import course_of

_PENDING = "pending"
_STATES = (*(str(kind) for kind in OutcomeKind), _PENDING)


class Scrape:
    """A collector, for a registry."""

    def __init__(self, sources: Sources, tally: Tally) -> None:
        self._sources = sources
        self._tally = tally

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All that is known now."""
        state = self._sources.state()
        yield from _daemon(self._sources, state)
        yield _one(families.GIT_SUCCESS, self._tally.git_answered)
        yield _one(families.LAST_SUCCESS, self._tally.succeeded)
        yield from _newest(self._sources.ref, state)
        yield from _proxies(state)
        mesh = self._sources.mesh() or Mesh()
        yield _held(mesh, self._sources.clock.now())
        yield from _rollouts(mesh)
        yield from _registries(self._sources)
        yield from _streams(self._sources)


def _daemon(sources: Sources, state: State) -> Iterator[GaugeMetricFamily]:
    yield _many(families.BUILD, [((reconciler.__version__, platform.python_version()), 1.0)])
    yield _one(families.STARTED, state.started.timestamp())
    yield _one(families.READY, float(sources.ready()))
    since = state.busy_since
    yield _one(families.BUSY, max(sources.clock.monotonic() - since, 0.0) if since is not None else 0.0)


def _newest(ref: str, state: State) -> Iterator[GaugeMetricFamily]:
    """The newest pass over the whole fleet; before the first one there is nothing to say."""
    last = state.last
    report = last.report if last is not None else Report()
    yield _many(families.LAST_PASS, [((), last.ended.timestamp())] if last is not None else [])
    yield _one(families.CONVERGED, float(last is not None and converged(report)))
    yield _codes(families.LAST_ERRORS, report.errors)
    yield _codes(families.LAST_REFUSALS, report.plan.refused if report.plan is not None else ())
    yield _codes(families.LAST_WARNINGS, report.plan.warnings if report.plan is not None else ())
    applied = report.applied or (report.last.policy_commit if report.last is not None else "")
    yield _many(families.APPLIED, [((applied, report.head, ref), 1.0)] if applied or report.head else [])


def _proxies(state: State) -> Iterator[GaugeMetricFamily]:
    states = _states(state.last.report) if state.last is not None else {}
    count = Counter(states.values())
    chosen = sorted(states)[:MOST_SERIES]
    yield _many(families.PROXIES, [((word,), float(count[word])) for word in _STATES])
    yield _many(
        families.PROXY_VERIFIED,
        [((str(key),), state.verified[key].at.timestamp()) for key in chosen if key in state.verified],
    )
    synced = str(OutcomeKind.APPLIED)
    yield _many(
        families.PROXY_TROUBLE, [((str(key), states[key]), 1.0) for key in chosen if states[key] != synced]
    )  # fmt: skip


def _states(report: Report) -> Mapping[Key, str]:
    """How a pass left each proxy: by its outcome, or, where nothing was pushed, by what the plan found."""
    found = {key: str(outcome.kind) for key, outcome in report.outcomes.items()}
    for item in report.plan.proxies if report.plan is not None else ():
        if item.proxy not in found:
            unreached = OutcomeKind.UNREACHABLE if item.error is not None else OutcomeKind.APPLIED
            found[item.proxy] = _PENDING if item.changes else str(unreached)
    return found


def _held(mesh: Mesh, now: datetime) -> GaugeMetricFamily:
    found = held(mesh.settings, now)
    reasons = (("freeze", found.frozen), ("suspension", found.suspended))
    return _many(families.HELD, [((by,), float(bool(words))) for by, words in reasons])


def _rollouts(mesh: Mesh) -> Iterator[GaugeMetricFamily]:
    phases: list[tuple[tuple[str, ...], float]] = []
    weights: list[tuple[tuple[str, ...], float]] = []
    at: list[tuple[tuple[str, ...], float]] = []
    steps: list[tuple[tuple[str, ...], float]] = []
    for policy in sorted(mesh.rollouts, key=lambda item: item.key)[:MOST_SERIES]:
        course, name = course_of(mesh, policy), str(policy.key)
        phases += [((name, str(phase)), float(course.status.phase is phase)) for phase in Phase]
        weight = weight_of(mesh, course)
        if weight is not None:
            weights.append(((name,), weight / 100))
        at.append(((name,), float(course.status.step)))
        steps.append(((name,), float(len(course.steps))))
    yield _many(families.ROLLOUT_PHASE, phases)
    yield _many(families.ROLLOUT_WEIGHT, weights)
    yield _many(families.ROLLOUT_STEP, at)
    yield _many(families.ROLLOUT_STEPS, steps)


def _registries(sources: Sources) -> Iterator[GaugeMetricFamily]:
    found = sources.standings()
    count = Counter(item.knowledge for item in found)
    yield _many(families.REGISTRIES, [((str(word),), float(count[word])) for word in Knowledge])
    yield _many(
        families.REGISTRY_UP, [((item.registry, item.kind), float(item.knowledge is Knowledge.LIVE)) for item in found]
    )
    heard = [(item.registry, item.heard) for item in found if item.heard is not None]
    yield _many(families.REGISTRY_HEARD, [((name,), at.timestamp()) for name, at in heard])
    yield _many(families.REGISTRY_SERVICES, [((item.registry,), float(item.services)) for item in found])
    yield _many(families.REGISTRY_INSTANCES, [((item.registry,), float(item.instances)) for item in found])
    yield _many(families.REGISTRY_HELD, [((item.registry,), float(len(item.held))) for item in found])


def _streams(sources: Sources) -> Iterator[GaugeMetricFamily]:
    nodes = sources.connections().values()
    there = sum(node.connected for node in nodes)
    yield _many(families.ADS_PROXIES, [(("connected",), float(there)), (("gone",), float(len(nodes) - there))])
    yield _one(families.ADS_UNSETTLED, float(sum(node.connected and not node.settled for node in nodes)))
    yield _one(families.ADS_HELD, float(sum(len(node.held) for node in nodes)))


def _codes(family: Family, found: Iterable[Diagnostic]) -> GaugeMetricFamily:
    count = Counter(item.code for item in found)
    return _many(family, [((code,), float(number)) for code, number in sorted(count.items())[:MOST_CODES]])


def _one(family: Family, value: float) -> GaugeMetricFamily:
    return _many(family, [((), value)])


def _many(family: Family, samples: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    found = GaugeMetricFamily(family.name, family.means, labels=family.labels)
    for labels, value in samples:
        found.add_metric(labels, value)
    return found
