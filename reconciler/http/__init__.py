"""The one HTTP session: TCP and Unix sockets, time limits, size limits. The only room that knows requests.

HttpError (TransientError)
├── UnreachableError    nothing answers: refused, no such socket, no permission, closed without an answer
├── TimedOutError       it was reached and did not answer in time, or too slowly
├── DistrustError       over TLS, one side does not trust the other's certificate, or ours can't be used
├── BadReplyError       what answers does not speak HTTP, or sends more than is allowed
└── AbortedError        we ended the call ourselves, from another thread
"""

from reconciler.http.client import HttpClient
from reconciler.http.failures import (
    AbortedError,
    BadReplyError,
    DistrustError,
    HttpError,
    TimedOutError,
    UnreachableError,
)
from reconciler.http.streams import Reply, Stream
from reconciler.http.tls import Fault
from reconciler.http.tokens import NoTokenError, read_token

__all__ = [
    "AbortedError",
    "BadReplyError",
    "DistrustError",
    "Fault",
    "HttpClient",
    "HttpError",
    "NoTokenError",
    "Reply",
    "Stream",
    "TimedOutError",
    "UnreachableError",
    "read_token",
]
