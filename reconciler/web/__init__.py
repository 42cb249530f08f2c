"""HTTP: health, readiness, status and services; on the Unix socket also passes. The only room that knows web frameworks.

What it shows and what runs a pass are handed in: it does not know the daemon.
"""

from reconciler.web.access import (
    Access,
    Anonymous,
    Caller,
    Door,
    Owner,
    Rate,
    Role,
    Token,
    TokenFile,
    TokensFileError,
    TokensFormatError,
    TokensWriteError,
    UnknownTokenError,
    add_token,
    mint,
    read_tokens,
    revoke_token,
)
from reconciler.web.app import application
from reconciler.web.errors import (
    BodySizeError,
    BusyError,
    CsrfError,
    ForbiddenError,
    HostError,
    ListenError,
    MethodError,
    NotReadyError,
    PlaintextError,
    RateLimitError,
    RequestError,
    SlowRequestError,
    UnauthorizedError,
    UnhealthyError,
    UnknownPathError,
)
from reconciler.web.listeners import Listener, listen_tcp, listen_unix
from reconciler.web.live import Notices
from reconciler.web.messages import PassRequest, PassResult
from reconciler.web.offer import Offer
from reconciler.web.routes.passes import Passes
from reconciler.web.routes.status import Knowledge
from reconciler.web.routes.views import Views
from reconciler.web.server import WebServer
from reconciler.web.tls import ServerCertificate

__all__ = [
    "Access",
    "Anonymous",
    "BodySizeError",
    "BusyError",
    "Caller",
    "CsrfError",
    "Door",
    "ForbiddenError",
    "HostError",
    "Knowledge",
    "ListenError",
    "Listener",
    "MethodError",
    "NotReadyError",
    "Notices",
    "Offer",
    "Owner",
    "PassRequest",
    "PassResult",
    "Passes",
    "PlaintextError",
    "Rate",
    "RateLimitError",
    "RequestError",
    "Role",
    "ServerCertificate",
    "SlowRequestError",
    "Token",
    "TokenFile",
    "TokensFileError",
    "TokensFormatError",
    "TokensWriteError",
    "UnauthorizedError",
    "UnhealthyError",
    "UnknownPathError",
    "UnknownTokenError",
    "Views",
    "WebServer",
    "add_token",
    "application",
    "listen_tcp",
    "listen_unix",
    "mint",
    "read_tokens",
    "revoke_token",
]
