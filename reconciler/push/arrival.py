"""Whether endpoints that were delivered have arrived at one proxy: by its word on its stream, or by what its admin endpoint shows.

Stands behind `channel`. Sends nothing; waits as long as it is told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.clock import Clock
from reconciler.envoy import Admin, AdminError
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.push.byword import disconnected
from reconciler.push.given import Given
from reconciler.push.verify import FIRST_WAIT, LONGEST_WAIT, Expectation, named
from reconciler.xds import Fresh, Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What one proxy has of what was delivered.

    Attributes:
        at: When that was seen, on the clock's monotonic scale.
        late: What it should have by now and has not, or has refused; "" if nothing.
        absent: Why it can't be asked; "" if it can.
    """

    at: float
    late: str = ""
    absent: str = ""


def on_stream(plane: Plane, key: Key, items: Mapping[ResourceId, Resource], *, clock: Clock, until: float) -> Arrival:
    """Whether a proxy on ADS has answered the newest, and taken it."""
    rests = plane.rests(key, ResourceType.ENDPOINTS, timeout=max(0.0, until - clock.monotonic()))
    at, state = clock.monotonic(), plane.state(key)
    if not state.connected:
        return Arrival(at=at, absent=disconnected().message)
    refused = [f"{id_}: {state.held[id_].words}" for id_ in sorted(items) if id_ in state.held]
    if refused:
        return Arrival(at=at, late=f"it refused {named(refused)}")
    if not rests:
        missing = sorted(items.keys() - plane.answered(key, items.keys()))
        return Arrival(at=at, late=f"it has not answered {named(map(str, missing)) or 'what came after'}")
    return Arrival(at=at)


def on_disk(admin: Admin, items: Mapping[ResourceId, Resource], *, fresh: Fresh, clock: Clock, until: float) -> Arrival:
    """Whether a proxy on files shows the newest versions of what was written for it, as far as it asks for it."""
    among = {(id_.type, id_.name): Given(item, fresh) for id_, item in items.items()}
    expectation = Expectation(among=among)
    wait = FIRST_WAIT
    while True:
        try:
            missing = expectation.missing(admin.versions())
        except AdminError as error:  # it reads its files when it comes back
            return Arrival(at=clock.monotonic(), absent=error.message)
        if not missing or clock.monotonic() > until:
            names = named(f"{type_} {name}" for type_, name in missing)
            return Arrival(at=clock.monotonic(), late=f"it does not show {names} as written" if names else "")
        clock.sleep(wait)
        wait = min(wait * 1.6, LONGEST_WAIT)
