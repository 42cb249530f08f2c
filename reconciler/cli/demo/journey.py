"""The way of one request, from what the access logs of the Envoys say of it.

Reads and compares; whether that is what the demo says is the witness' business.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLLOWED = "ada"
"""What a request says that sends it, for the Envoys on its way to log it; the others are too many."""

TEMPLATE_PATH = "envoy-templates/access-log.yaml"
TEMPLATE = b"""\
# Every Envoy logs the requests of Ada's browser, and whatever fails. Empty the file to log nothing.
name: envoy.access_loggers.stdout
filter:
  or_filter:
    filters:
    - header_filter: {header: {name: user-agent, string_match: {exact: ada}}}
    - status_code_filter: {comparison: {op: GE, value: {default_value: 500, runtime_key: access_log.min_status}}}
typed_config:
  "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
  log_format:
    json_format:
      request: "%REQ(X-REQUEST-ID)%"
      start: "%START_TIME(%s.%6f)%"
      peer: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"   # who opened the connection it came by, and where
      at: "%DOWNSTREAM_LOCAL_ADDRESS%"
      cluster: "%UPSTREAM_CLUSTER%"
      local: "%UPSTREAM_LOCAL_ADDRESS%"            # the connection it went on by
      to: "%UPSTREAM_HOST%"
      status: "%RESPONSE_CODE%"
      bytes: "%BYTES_SENT%"                        # of the answer's body
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One line of one Envoy's access log: it took a request in at one address and sent it on to another.

    Attributes:
        proxy: Whose log.
        start: When the request came, in seconds since the epoch.
        came: The connection it came by: who opened it, and the address that was connected to.
        cluster: Where it was sent.
        went: The connection it went on by, in the same form.
        status: Of the answer.
        size: Of the answer's body, in bytes.
    """

    proxy: str
    start: float
    came: tuple[str, str]
    cluster: str
    went: tuple[str, str]
    status: int
    size: int

    @property
    def outbound(self) -> bool:
        """Whether it left for another Envoy, and not for this one's own application."""
        return self.cluster.startswith("outbound|")


@dataclass(frozen=True, slots=True)
class Journey:
    """What all Envoys logged of one request, in the order of its way.

    Attributes:
        request: Its id, which every Envoy and every application passed on.
    """

    request: str
    hops: tuple[Hop, ...]

    @property
    def counters(self) -> Counter[tuple[str, str]]:
        """By how much each cluster's counter of answered requests has to have grown, by proxy and cluster."""
        return Counter((hop.proxy, hop.cluster) for hop in self.hops)

    def arrival(self, departure: Hop) -> Hop | None:
        """The hop that came by the very connection, on the TCP level, by which this one went; None if there is none."""
        return next((hop for hop in self.hops if hop.came == departure.went), None)


def journeys(logs: Mapping[str, Path]) -> tuple[Journey, ...]:
    """Every request that is in the logs of these Envoys, the first one first."""
    found: dict[str, list[Hop]] = {}
    for proxy, log in logs.items():
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):  # the log of what Envoy itself does is in the same file
                entry = json.loads(line)
                found.setdefault(entry["request"], []).append(_hop(proxy, entry))
    ordered = (Journey(request, tuple(sorted(hops, key=lambda hop: hop.start))) for request, hops in found.items())
    return tuple(sorted(ordered, key=lambda journey: journey.hops[0].start))


def shown(journey: Journey, arrow: str) -> Iterable[str]:
    """The hops, a line each: whose, at which port it came in, where it went, and what came back."""
    name = max(len(hop.proxy) for hop in journey.hops)
    cluster = max(len(hop.cluster) for hop in journey.hops)
    for hop in journey.hops:
        came, went = (f":{address.rpartition(':')[2]:<5}" for _, address in (hop.came, hop.went))
        yield (
            f"{hop.proxy:<{name}}  {came} {arrow} {hop.cluster:<{cluster}} {arrow} {went}  {hop.status}, {hop.size} bytes"
        )


def _hop(proxy: str, entry: Mapping[str, str | int | float]) -> Hop:
    return Hop(
        proxy=proxy,
        start=float(entry["start"]),
        came=(str(entry["peer"]), str(entry["at"])),
        cluster=str(entry["cluster"]),
        went=(str(entry["local"]), str(entry["to"])),
        status=int(entry["status"]),
        size=int(entry["bytes"]),
    )
