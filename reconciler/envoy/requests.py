"""How many requests one Envoy has sent to services since it started, for whoever looks at live traffic. Reads; what follows from it is told elsewhere.

One small request for all clusters: `usedonly` leaves out what was never called, which is most of a mesh. What counts as a request and as an
error is what `counters` says. Opens a connection of its own, so it disturbs nobody who reads the same proxy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from reconciler.envoy.failures import garbage, no_answer, refused, words
from reconciler.envoy.readings import NotAnEnvoyError
from reconciler.http import HttpClient, HttpError
from reconciler.settings import AdminSettings

_OK = 200
_STEM = "cluster."
_REQUESTS, _ERRORS = ".upstream_rq_completed", ".upstream_rq_5xx"
_FILTER = r"^cluster\.outbound[|_].*\.upstream_rq_(completed|5xx)$|^server\.live$"
_TARGET = f"/stats?format=json&usedonly&filter={quote(_FILTER, safe='')}"


@dataclass(frozen=True, slots=True)
class Sent:
    """Requests to one cluster since the Envoy started.

    Attributes:
        requests: That were answered, by whomever.
        errors: Of them, with a status of 5xx.
    """

    requests: int
    errors: int


class RequestCounts:
    """Reads the counts of one Envoy. Keeps its connection. Not for two threads at once.

    Raises:
        UsageError: The address has another form than an admin endpoint's.
    """

    def __init__(self, address: str, settings: AdminSettings) -> None:
        self.address = address
        self._client = HttpClient(address, settings)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Mapping[str, Sent]:
        """By the cluster's name; only those that were ever called.

        Raises:
            AdminError: There is no usable answer.
        """
        what = f"GET {self.address}/stats"
        try:
            reply = self._client.get(_TARGET)
        except HttpError as error:
            raise no_answer(error) from error
        if reply.status != _OK:
            raise refused(what, reply)
        try:
            return parse(reply.body)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise garbage(f"{what}: the answer is not an Envoy's: {words(reply)}") from error


def parse(body: bytes) -> Mapping[str, Sent]:
    """One answer.

    Raises:
        NotAnEnvoyError: It is of something else.
        ValueError: It is no JSON; other errors of lookup and type, where the shape is another.
    """
    counts = {item["name"]: int(item["value"]) for item in json.loads(body)["stats"] if "name" in item}
    if "server.live" not in counts:
        raise NotAnEnvoyError("these are not the stats of an Envoy")
    names = [name.removeprefix(_STEM).removesuffix(_REQUESTS) for name in counts if name.endswith(_REQUESTS)]
    return {
        name: Sent(counts[f"{_STEM}{name}{_REQUESTS}"], counts.get(f"{_STEM}{name}{_ERRORS}", 0))
        for name in sorted(names)
    }
