"""The application: which groups of routes are served, by what is offered. Knows no daemon: what is shown and started is handed in.

GET  /healthz      the process is alive and its loop gets on
GET  /readyz       the first pass has ended, and the daemon is not stopping
     /v1/session   who asks; signing in and out for the page; only where `access` is a `Door`
GET  /metrics      the daemon's own metrics, for Prometheus; only where `metrics` is handed in
     /v1/policies  policies, listed, read and changed; only where `desk` is handed in
POST /v1/rollouts/ what people ask of rollouts; only where `commands` is handed in
GET  /v1/receipts  what was live where; only where `receipts` is handed in
GET  /v1/status    what the daemon knows, as JSON
GET  /v1/services  the services that there are, their instances, and who may call them, as JSON
GET  /v1/targets   where the fleet's metrics are scraped, for Prometheus; only where `targets` is handed in
GET  /v1/rollouts  and /v1/timeline, /v1/commits, /v1/plan, /v1/traffic: what the page shows; only where `views` is handed in
GET  /v1/events    server-sent events that say what to read again; only where `notices` is handed in
GET  /             the page; only where `page` is asked for
POST /v1/passes    run one pass and wait for it; only where `passes` is handed in
GET  /v1/openapi.json  what is offered, for programs
POST /v1/webhooks/ by the kind of sender: the policy branch moved; only where `webhooks` is handed in
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from reconciler.errors import ReconcilerError
from reconciler.web import replies
from reconciler.web.access.door import Door
from reconciler.web.guard import Application, Guard
from reconciler.web.hosts import HostGate
from reconciler.web.offer import Offer
from reconciler.web.routes import (
    events,
    health,
    metrics,
    openapi,
    page,
    passes,
    policies,
    receipts,
    rollouts,
    session,
    status,
    targets,
    views,
    webhooks,
)

_MAX_BODY = 64 * 1024
_PATIENCE = 10.0


def application(
    offer: Offer, *, logger: logging.Logger, max_body: int = _MAX_BODY, patience: float = _PATIENCE
) -> Application:
    """The ASGI application.

    Args:
        offer: What is served.
        logger: Told of faults of our own.
        max_body: Bytes that a request's body may have.
        patience: Seconds that it may take to arrive.
    """
    app = routed(offer)
    wide: dict[str, int] = {f"{policies.PATH}/": policies.LARGEST}
    if offer.webhooks is not None:
        wide |= {webhooks.PATH + kind: most for kind, most in offer.webhooks.limits.items()}
    app.add_exception_handler(ReconcilerError, replies.refused)
    app.add_exception_handler(RequestValidationError, replies.invalid)
    app.add_exception_handler(HTTPException, replies.no_route)
    app.add_exception_handler(Exception, replies.broken)
    named = app if offer.names is None else HostGate(app, offer.names)
    return Guard(named, max_body=max_body, patience=patience, logger=logger, wide=wide, counted=_counting(offer))


def routed(offer: Offer) -> FastAPI:
    """The routes of what is offered, without what stands before them."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    health.add(app, offer.knowledge)
    status.add(app, offer.knowledge, offer.access)
    if isinstance(offer.access, Door):
        session.add(app, offer.access)
    for add, part in _parts(offer):
        if part is not None:
            add(app, part, offer.access)
    if offer.page:
        page.add(app)
    if offer.webhooks is not None:
        webhooks.add(app, offer.webhooks)
    openapi.add(app, offer.access)
    return app


def _parts(offer: Offer) -> Iterator[tuple[Callable[..., None], object]]:
    """What may be offered to callers with a role, and what adds its routes."""
    yield passes.add, offer.passes
    yield policies.add, offer.desk
    yield rollouts.add, offer.commands
    yield receipts.add, offer.receipts
    yield targets.add, offer.targets
    yield views.add, offer.views
    yield events.add, offer.notices
    yield metrics.add, offer.metrics


def _counting(offer: Offer) -> Callable[[str, str, int], None]:
    return offer.metrics.requested if offer.metrics is not None else lambda _route, _method, _code: None
