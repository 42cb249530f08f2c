"""What the HTTP server says no with: each failure knows its HTTP status, and all have one JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from reconciler.cycle.commanding import UnknownRolloutError
from reconciler.cycle.editing.errors import InvalidResultError, PreconditionError, UnknownPolicyError
from reconciler.errors import (
    BugError,
    Diagnostic,
    InputError,
    PermanentError,
    ReconcilerError,
    RefusedError,
    TransientError,
)
from reconciler.rollouts.commands import CommandError

_SCHEMA = 1


class RequestError(InputError):
    """A request can't be understood, or asks for something that is not offered there."""

    default_code = "http-request"


class UnknownPathError(RequestError):
    """Nothing is served at a path."""

    default_code = "http-path"


class MethodError(RequestError):
    """A path is served, and not by this method."""

    default_code = "http-method"


class BodySizeError(RequestError):
    """A request's body is larger than any that is needed."""

    default_code = "http-body-size"


class SlowRequestError(RequestError):
    """A request did not arrive in time."""

    default_code = "http-slow"


class UnauthorizedError(RequestError):
    """Nobody in particular asks, or somebody who can't be believed."""

    default_code = "http-unauthorized"


class ForbiddenError(RequestError):
    """The caller may not do this."""

    default_code = "http-forbidden"


class CsrfError(ForbiddenError):
    """A browser was asked to change something, and nothing shows that it was our page that asked."""

    default_code = "http-csrf"


class PlaintextError(ForbiddenError):
    """A token comes from another host without TLS, so that others may have read it."""

    default_code = "http-plaintext"


class HostError(RequestError):
    """A request names a host that this server is not known by."""

    default_code = "http-host"


class NoPreconditionError(RequestError):
    """A policy is to be changed, and nothing says what it was when it was read."""

    default_code = "http-precondition"


class MediaTypeError(RequestError):
    """A body is of a type that is not read here."""

    default_code = "http-media-type"


class RateLimitError(TransientError):
    """A peer or a token asks faster than it may.

    Attributes:
        seconds: After which it may ask again.
    """

    default_code = "http-rate"

    def __init__(self, message: str, *, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(message, hint=f"ask again in {seconds:.0f} s, and less often")


class NotReadyError(TransientError):
    """The daemon runs and can't answer for the fleet yet, or no more."""

    default_code = "not-ready"


class UnhealthyError(TransientError):
    """The daemon runs and does not get on with its work."""

    default_code = "unhealthy"


class BusyError(TransientError):
    """More is asked at the same time than is carried out."""

    default_code = "http-busy"


class ListenError(PermanentError):
    """An address or a Unix socket can't be listened on."""

    default_code = "listen"


_STATUS: Sequence[tuple[type[ReconcilerError], int]] = (
    (UnknownPathError, 404),
    (UnauthorizedError, 401),
    (RateLimitError, 429),
    (HostError, 421),
    (ForbiddenError, 403),
    (MethodError, 405),
    (NoPreconditionError, 428),
    (MediaTypeError, 415),
    (UnknownPolicyError, 404),
    (UnknownRolloutError, 404),
    (PreconditionError, 412),
    (InvalidResultError, 422),
    (CommandError, 409),
    (BodySizeError, 413),
    (SlowRequestError, 408),
    (InputError, 400),
    (RefusedError, 409),
    (TransientError, 503),
    (BugError, 500),
    (ReconcilerError, 500),
)


def status_of(error: ReconcilerError) -> int:
    """The HTTP status that an error is answered with."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def headers_of(error: ReconcilerError) -> dict[str, str]:
    """The headers that HTTP asks for beside the status of an error."""
    if isinstance(error, RateLimitError):
        return {"retry-after": str(math.ceil(error.seconds))}
    return {"www-authenticate": "Bearer"} if isinstance(error, UnauthorizedError) else {}


def document(errors: Sequence[Diagnostic]) -> bytes:
    """The one form of every answer that is an error: `{"schema_version": 1, "errors": [{code, ...}]}`."""
    return json.dumps({"schema_version": _SCHEMA, "errors": [item.as_json() for item in errors]}).encode()


def fault(error: BaseException) -> BugError:
    """An exception nobody expects, as clients read it: what kind it was, and not what it said."""
    return BugError(f"the request ended by {type(error).__name__}")
