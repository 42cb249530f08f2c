"""What a Prometheus' answer says: a number, or why there is none. Pure.

By https://prometheus.io/docs/prometheus/latest/querying/api/: every answer is JSON with a `status`; an error has an `errorType` and the words
of the Prometheus itself, and its HTTP status is 400, 422 or 503.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from reconciler.errors import ReconcilerError
from reconciler.http import Reply
from reconciler.prometheus.failures import (
    DeniedError,
    FailedError,
    GarbageError,
    NoDataError,
    PartialError,
    QueryError,
    SeriesError,
    SlowError,
)

_OK, _REDIRECT, _BAD_REQUEST, _SERVER = 200, 300, 400, 500
_DENIED = (401, 403)
_TOO_MANY = 429
_SHOWN = 200
_NOT_PROMETHEUS = "check that the metric's address is a Prometheus, with the path before /api/v1 if there is one"


def number(reply: Reply, what: str) -> float:
    """The number in an answer; finite.

    Args:
        reply: The answer, of any status.
        what: Whose it is, to begin messages with.

    Raises:
        PrometheusError: It is not usable.
        NoDataError: It has no number.
        QueryError: The query can't have one.
    """
    if reply.status in _DENIED:
        raise DeniedError(f"{what}: the answer is {reply.status}", hint="check the metric's tokenFile")
    if _REDIRECT <= reply.status < _BAD_REQUEST:
        raise GarbageError(f"{what}: it redirects ({reply.status})", hint="write the address that it redirects to")
    try:
        document = _document(reply)
        if document["status"] == "error":
            raise _said(str(document["errorType"]), _short(str(document["error"])), what)
        if document.get("warnings"):
            words = _short("; ".join(map(str, document["warnings"])))
            raise PartialError(f"{what} warns: {words}", hint="mend what it warns of; nothing is judged by a part")
        return _finite(_one(document["data"], what), what)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        if reply.status >= _SERVER or reply.status == _TOO_MANY:
            said = f"{what}: the answer is {reply.status}: {_short(reply.text)}"
            raise FailedError(said, hint="look at its log, and at what stands before it") from error
        said = f"{what}: the answer ({reply.status}) is not a Prometheus': {_short(reply.text)}"
        raise GarbageError(said, hint=_NOT_PROMETHEUS) from error


def _document(reply: Reply) -> Mapping[str, Any]:
    document = json.loads(reply.body)
    if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
        raise ValueError("no status")
    if document["status"] == "success" and reply.status != _OK:
        raise ValueError("success that is none")
    return document


def _said(kind: str, words: str, what: str) -> ReconcilerError:
    """The failure for one that a Prometheus names itself."""
    if kind == "bad_data":
        return QueryError(f"{what}: {words}", hint="try the query in the Prometheus' own page")
    if kind == "timeout":
        return SlowError(f"{what}: {words}", hint="make the query cheaper, or the metric's timeout longer")
    return FailedError(
        f"{what}: {kind}: {words}", hint="try the query in the Prometheus' own page, and look at its log"
    )


def _one(data: Mapping[str, Any], what: str) -> float:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return _value(result)
    if kind in {"matrix", "string"}:
        hint = "write a query that gives one number now, as with rate() or sum()"
        raise QueryError(f"{what}: the query gives a {kind}, not a number", hint=hint)
    if kind != "vector" or not isinstance(result, list):
        raise ValueError("no result")
    if not result:
        raise NoDataError(
            f"{what}: no series", hint="nothing has been measured yet, or the query's labels match nothing"
        )
    if len(result) > 1:
        raise SeriesError(f"{what}: {len(result)} series", hint="make them one, as with sum()")
    if "histogram" in result[0]:
        hint = "take a number from it, as with histogram_quantile()"
        raise QueryError(f"{what}: the query gives a histogram, not a number", hint=hint)
    return _value(result[0]["value"])


def _value(pair: Any) -> float:
    _, text = pair
    if not isinstance(text, str):
        raise TypeError("a sample's value is text")
    return float(text)


def _finite(value: float, what: str) -> float:
    if not math.isfinite(value):
        hint = "it divides by zero, or computes with what is not there: most often there was no traffic"
        raise NoDataError(f"{what}: the value is {value}", hint=hint)
    return value


def _short(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * _SHOWN].split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
