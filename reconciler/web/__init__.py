"""HTTP: health, readiness and a read-only status; on the Unix socket also passes. The only room that knows web frameworks.

What it shows and what runs a pass are handed in: it does not know the daemon.
"""

from reconciler.web.app import Knowledge, Passes, application
from reconciler.web.errors import (
    BodySizeError,
    BusyError,
    ListenError,
    MethodError,
    NotReadyError,
    RequestError,
    SlowRequestError,
    UnhealthyError,
    UnknownPathError,
)
from reconciler.web.listeners import Listener, listen_tcp, listen_unix
from reconciler.web.messages import PassRequest, PassResult
from reconciler.web.server import WebServer

__all__ = [
    "BodySizeError",
    "BusyError",
    "Knowledge",
    "ListenError",
    "Listener",
    "MethodError",
    "NotReadyError",
    "PassRequest",
    "PassResult",
    "Passes",
    "RequestError",
    "SlowRequestError",
    "UnhealthyError",
    "UnknownPathError",
    "WebServer",
    "application",
    "listen_tcp",
    "listen_unix",
]
