"""How asking a Prometheus can fail, split by what a rollout does about it: errors hold it, no data is waited for, a query has to be mended."""

from __future__ import annotations

from reconciler.errors import InputError, TransientError
from reconciler.http import DistrustError, HttpError, TimedOutError
from reconciler.http import UnreachableError as NobodyError


class PrometheusError(TransientError):
    """A Prometheus brought no usable answer."""

    default_code = "prometheus"


class UnreachableError(PrometheusError):
    """No Prometheus answers at the address."""

    default_code = "prometheus-unreachable"


class SlowError(PrometheusError):
    """A Prometheus did not answer within the metric's timeout, or gave the query up."""

    default_code = "prometheus-timeout"


class DistrustedError(PrometheusError):
    """TLS with a Prometheus failed: its certificate is not trusted, or it wants one of ours."""

    default_code = "prometheus-tls"


class TokenError(PrometheusError):
    """The file with the token for a Prometheus is not there, can't be read, or holds no token."""

    default_code = "prometheus-token"


class DeniedError(PrometheusError):
    """A Prometheus, or what stands before it, does not let us ask."""

    default_code = "prometheus-denied"


class FailedError(PrometheusError):
    """A Prometheus says that it could not answer."""

    default_code = "prometheus-failed"


class PartialError(PrometheusError):
    """A Prometheus warns that its answer lacks something, so that nothing can be judged by it."""

    default_code = "prometheus-partial"


class SeriesError(PrometheusError):
    """A query gives several numbers where one is needed."""

    default_code = "prometheus-series"


class GarbageError(PrometheusError):
    """What answers is not the API of a Prometheus."""

    default_code = "prometheus-garbage"


class NoDataError(TransientError):
    """A query gives no number now: there is no series, or it divides by zero."""

    default_code = "prometheus-no-data"


class QueryError(InputError):
    """A query is not PromQL, or gives something that is never a number."""

    default_code = "prometheus-query"


def no_answer(error: HttpError) -> PrometheusError:
    """The failure for a call that brought no answer."""
    if isinstance(error, NobodyError):
        return UnreachableError(error.message, hint="check that it runs, and the metric's address")
    if isinstance(error, TimedOutError):
        return SlowError(error.message, hint="make the query cheaper, or the metric's timeout longer")
    if isinstance(error, DistrustError):
        hint = "use a certificate that this machine's authorities have signed, or set `insecure: true` to check none"
        return DistrustedError(error.message, hint=hint)
    return GarbageError(error.message, hint="check that the metric's address is a Prometheus")
