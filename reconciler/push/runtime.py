"""Pushing weights to an Envoy that someone else configures: `POST /runtime_modify`, and nothing else.

Moves the splits of mapped routes only. What the live configuration has no weighted route for is refused by name, before
anything is sent for it. There are no phases, since nothing comes or goes; everything happens in REPOINT.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from reconciler.clock import Clock
from reconciler.envoy import Admin, LiveWeightedRoute
from reconciler.model.plan import Action
from reconciler.model.proxy import RuntimePush, RuntimeRoute
from reconciler.model.resource import ResourceType
from reconciler.push.phases import Phase
from reconciler.push.verify import Reading, named
from reconciler.push.ways import NotConfirmedError, Proven, RefusedByEnvoyError, Target

_RUNTIME = frozenset({ResourceType.RUNTIME})


class RuntimeWay:
    """Pushes to one `runtime` proxy. See `ways.Way`."""

    def __init__(self, target: Target, mapping: RuntimePush, *, admin: Admin, clock: Clock) -> None:
        self._target = target
        self._mapping = mapping
        self._admin = admin
        self._clock = clock
        self._reading = Reading(target, admin, at=clock.now)
        self._values: dict[str, str] = {}
        self._refusals: tuple[str, ...] = ()
        self.sent = 0.0

    @property
    def refusal(self) -> None:
        """What Envoy refuses stops a push by runtime."""

    def prepare(self) -> frozenset[Phase]:
        """Choose the keys to set, and check that live routes read them."""
        wanted = {id_.name: item.body.decode() for id_, item in self._target.view.resources.items()}
        changed = {change.id.name for change in self._target.changes}
        values = {change.id.name: "" for change in self._target.changes if change.action is Action.DELETE}
        mapped = [route for route in self._mapping.routes if changed & _keys(route)]
        live = self._admin.runtime_routes() if mapped else ()
        refusals: list[str] = []
        for route in mapped:
            problem = _problem(route, live)
            if problem:
                refusals.append(f"{route.virtual_service} {route.route}".strip() + f" can't be pushed: {problem}")
            else:
                # All keys of a route travel together: with some of them Envoy would mix old and new weights.
                values |= {key: wanted[key] for key in sorted(_keys(route)) if key in wanted}
        known = set(chain.from_iterable(map(_keys, self._mapping.routes)))
        unmapped = sorted(key for key in changed if key in wanted and key not in known)
        if unmapped:
            refusals.append(f"no mapped route has the runtime keys {named(unmapped)}")
        self._values = values
        self._refusals = tuple(refusals)
        return frozenset({Phase.REPOINT})

    def run(self, phase: Phase, *, until: float) -> None:
        """Set all keys in one call, which Envoy carries out as one, and read them back."""
        del phase, until  # the call is synchronous: what it did not do, waiting will not do either
        if self._values:
            begun = self._clock.monotonic()
            self._admin.set_runtime(self._values)
            self.sent += self._clock.monotonic() - begun
        if self._refusals:
            raise RefusedByEnvoyError("; ".join(self._refusals))
        if self._values:
            self._check()

    def prove(self) -> Proven:
        """Compare the final values with the view."""
        return self._reading.prove(_RUNTIME)

    def _check(self) -> None:
        seen = self.prove()
        final = {
            id_.name: item.body.decode() for id_, item in seen.observation.resources.items() if id_.type in _RUNTIME
        }
        wanted = {key: value for key, value in self._values.items() if value}
        wrong = [
            f"{key} is {final.get(key, 'unset')}, not {value}"
            for key, value in wanted.items()
            if final.get(key) != value
        ]
        if wrong:
            raise NotConfirmedError(f"the values were set, but a runtime layer above hides them: {named(wrong)}")


def _keys(route: RuntimeRoute) -> set[str]:
    return {f"{route.prefix}.{cluster}" for cluster in route.clusters.values()}


def _problem(route: RuntimeRoute, live: Iterable[LiveWeightedRoute]) -> str:
    """Why this mapping would not move the split as it says, or ""."""
    found = [item for item in live if item.prefix == route.prefix]
    if not found:
        return f"no live weighted route has the runtime key prefix {route.prefix}"
    mapped = set(route.clusters.values())
    for item in found:
        absent = sorted(mapped - set(item.clusters))
        if absent:
            return f"the live route with the prefix {route.prefix} has no cluster {named(absent)}"
        extra = sorted(set(item.clusters) - mapped)
        if extra:
            return f"the live route with the prefix {route.prefix} also weighs {named(extra)}, which the mapping leaves out"
    return ""
