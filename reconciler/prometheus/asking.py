"""One question to one Prometheus: the call. What an answer means stands in `answers`."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from reconciler.http import HttpClient, HttpError, NoTokenError, read_token
from reconciler.prometheus.answers import number
from reconciler.prometheus.failures import TokenError, no_answer
from reconciler.settings import AdminSettings

_PATH = "/api/v1/query"
_LONGEST_CONNECT = 5.0
_MAX_BODY = 4 * 1024 * 1024


def ask(query: str, *, address: str, timeout: timedelta, token_file: str = "", insecure: bool = False) -> float:
    """The number that a PromQL expression has now, by an instant query (`GET /api/v1/query`). Never NaN or infinite.

    Args:
        query: PromQL that gives a scalar, or a vector of one element.
        address: `http://host:port` or `https://host:port`, with the path before `/api/v1` if there is one.
        timeout: For the whole question; the Prometheus is told to give up a little earlier.
        token_file: Path of a file with a bearer token, "" for none. Read at each call, so replacing it renews it; in no message. It goes to
            this address only: a redirect is an error.
        insecure: Don't check the server's certificate.

    Raises:
        PrometheusError: It brought no usable answer; the subclass says why.
        NoDataError: There is no number now.
        QueryError: The query is no PromQL, or gives no number whatever the data.
        UsageError: The address has another form.
    """
    seconds = timeout.total_seconds()
    connect = min(_LONGEST_CONNECT, seconds / 4)
    settings = AdminSettings(
        connect_timeout=connect, read_timeout=seconds - connect, max_body=_MAX_BODY, verify=not insecure
    )
    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file else {}
    asked = f"query={quote(query, safe='')}&timeout={max(1, round((seconds - connect) * 900))}ms"
    with HttpClient(address, settings) as client:
        try:
            reply = client.send("GET", f"{_PATH}?{asked}", headers=headers)
        except HttpError as error:
            raise no_answer(error) from error
    return number(reply, f"{address.rstrip('/')}{_PATH}")


def _token(path: str) -> str:
    try:
        return read_token(path)
    except NoTokenError as error:
        if error.why:
            raise TokenError(f"cannot read {path}: {error.why}", hint="put a file with the token there") from error
        hint = "write the token into it, on one line and without `Bearer`"
        raise TokenError(f"{path} holds no token", hint=hint) from error
