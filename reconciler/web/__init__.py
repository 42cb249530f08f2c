"""HTTP: health, readiness, status and services; on the Unix socket also passes. The only room that knows web frameworks.

What it shows and what runs a pass are handed in: it does not know the daemon.
"""

from reconciler.web.access import Access, Anonymous, Caller, Owner, Role
from reconciler.web.app import application
from reconciler.web.errors import (
    BodySizeError,
    BusyError,
    ForbiddenError,
    ListenError,
    MethodError,
    NotReadyError,
    RequestError,
    SlowRequestError,
    UnauthorizedError,
    UnhealthyError,
    UnknownPathError,
)
from reconciler.web.listeners import Listener, listen_tcp, listen_unix
from reconciler.web.messages import PassRequest, PassResult
from reconciler.web.offer import Offer
from reconciler.web.routes.passes import Passes
from reconciler.web.routes.status import Knowledge
from reconciler.web.server import WebServer

__all__ = [
    "Access",
    "Anonymous",
    "BodySizeError",
    "BusyError",
    "Caller",
    "ForbiddenError",
    "Knowledge",
    "ListenError",
    "Listener",
    "MethodError",
    "NotReadyError",
    "Offer",
    "Owner",
    "PassRequest",
    "PassResult",
    "Passes",
    "RequestError",
    "Role",
    "SlowRequestError",
    "UnauthorizedError",
    "UnhealthyError",
    "UnknownPathError",
    "WebServer",
    "application",
    "listen_tcp",
    "listen_unix",
]
