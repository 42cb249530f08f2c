"""GET /v1/targets: where the fleet's metrics are scraped, as Prometheus' http_sd reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response

from reconciler.web.access.callers import Access, Role, require
from reconciler.web.replies import READING

LEFT_OUT = "x-reconcile-left-out"
"""How many proxies have no place at which they are scraped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The fleet for Prometheus.

    Attributes:
        groups: Each `{targets: [HOST:PORT], labels: {...}}`.
        left_out: Proxies that are in none of them.
    """

    groups: Sequence[Mapping[str, Any]]
    left_out: int


class Targets(Protocol):
    """Knows where proxies serve their metrics. Called on threads of the server's; has to be quick."""

    def targets(self) -> Listed:
        """The fleet as it is known now.

        Raises:
            ReconcilerError: It is not known yet; Prometheus then keeps what it had.
        """


def add(app: FastAPI, targets: Targets, access: Access) -> None:
    """Answer at /v1/targets. The document is a list, as http_sd wants it, so it has no `schema_version`."""

    @app.api_route("/v1/targets", methods=READING)
    def show(request: Request) -> Response:
        require(access, request, Role.READ)
        found = targets.targets()
        return Response(
            json.dumps(list(found.groups)),
            headers={LEFT_OUT: str(found.left_out)},
            media_type="application/json",
        )
