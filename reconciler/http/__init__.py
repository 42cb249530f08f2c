"""The one HTTP session: TCP and Unix sockets, time limits, size limits. The only room that knows requests.

HttpError (TransientError)
├── UnreachableError    nothing answers: refused, no such socket, no permission, closed without an answer
├── TimedOutError       it was reached and did not answer in time, or too slowly
└── BadReplyError       what answers does not speak HTTP, or sends more than is allowed
"""

from reconciler.http.client import HttpClient, Reply
from reconciler.http.failures import BadReplyError, HttpError, TimedOutError, UnreachableError

__all__ = ["BadReplyError", "HttpClient", "HttpError", "Reply", "TimedOutError", "UnreachableError"]
