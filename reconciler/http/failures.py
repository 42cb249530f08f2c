"""How an HTTP call can fail, and which of it happened: the one place that reads requests' and urllib3's exceptions."""

from __future__ import annotations

import errno
import http.client
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from reconciler.errors import TransientError
from reconciler.http.tls import Fault, fault_of


class HttpError(TransientError):
    """An HTTP call that brought no usable answer."""

    default_code = "http"


class UnreachableError(HttpError):
    """Nothing answers at the address."""

    default_code = "http-unreachable"


class TimedOutError(HttpError):
    """It was reached and did not answer in time."""

    default_code = "http-timeout"


class BadReplyError(HttpError):
    """What answers does not speak HTTP, or sends more than is allowed."""

    default_code = "http-bad-reply"


class AbortedError(HttpError):
    """We ended the call ourselves, from another thread."""

    default_code = "http-aborted"


class DistrustError(HttpError):
    """TLS with it failed: one side does not trust the other's certificate, or ours can't be used.

    Attributes:
        fault: What is wrong.
    """

    default_code = "http-tls"

    def __init__(self, message: str, *, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until a call is given up.

    Attributes:
        connect: To connect.
        silence: Without a byte.
        total: For the whole call.
    """

    connect: float
    silence: float
    total: float


def failure(
    what: str, error: BaseException, patience: Patience, *, over: bool, tls: bool = False, shown: bool = False
) -> HttpError:
    """The failure that an exception of the HTTP stack stands for.

    requests and urllib3 wrap what happened two or three times, and differently for TCP and for Unix sockets; the innermost
    causes are the same for both, so they decide.

    Args:
        what: The call, to begin the message with.
        error: What was raised.
        patience: How long the call was allowed to take.
        over: Whether it took all of its time, or ended before for another reason, such as silence.
        tls: Whether it was made over TLS.
        shown: Whether there is a certificate to show to the other side.
    """
    causes = tuple(_causes(error))
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        connecting = any(isinstance(cause, requests.ConnectTimeout) for cause in causes)
        return TimedOutError(f"{what}: {_given_up(patience, connecting=connecting, over=over)}")
    fault = fault_of(causes, shown=shown)
    if fault is not None:
        return DistrustError(f"{what}: {fault[1]}", fault=fault[0])
    if any(isinstance(cause, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError) for cause in causes):
        # http.client.RemoteDisconnected is a ConnectionResetError too. A server that wants a certificate may have said so in
        # an alert which its reset overtook.
        why = "; it may ask for a certificate, and none is configured" if tls and not shown else ""
        return UnreachableError(f"{what}: the connection was closed without an answer{why}")
    system = next((c for c in causes if isinstance(c, OSError) and c.errno and not isinstance(c, ssl.SSLError)), None)
    if system is not None:
        return UnreachableError(f"{what}: {_words(system)}")
    return BadReplyError(f"{what}: {_broken(causes)}")


def _given_up(patience: Patience, *, connecting: bool, over: bool) -> str:
    if connecting:
        return f"no connection within {patience.connect:g} s"
    return f"no complete answer within {patience.total:g} s" if over else f"silent for {patience.silence:g} s"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything below it, outermost first.

    urllib3 keeps what it wraps in `reason` or in its arguments; `__context__` covers the rest.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        item = waiting.pop(0)
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        inner = (getattr(item, "reason", None), *item.args, item.__cause__, item.__context__)
        waiting += [below for below in inner if isinstance(below, BaseException)]


def _broken(causes: tuple[BaseException, ...]) -> str:
    if any(isinstance(cause, http.client.BadStatusLine) for cause in causes):
        return "what answers does not speak HTTP"
    reasons = [str(cause.reason) for cause in causes if isinstance(cause, ssl.SSLError) and cause.reason]
    if reasons:
        return f"what answers does not speak TLS as it should ({reasons[-1].replace('_', ' ').lower()})"
    return f"the answer is broken: {str(causes[-1]) or type(causes[-1]).__name__}"


def _words(error: OSError) -> str:
    if error.errno == errno.EAGAIN:  # a Unix socket whose listener accepts nothing
        return "its queue of waiting connections is full"
    return error.strerror or str(error)
