"""Prometheus: asking one for the value of a PromQL expression.

PrometheusError (TransientError)
├── UnreachableError   nothing answers at the address
├── SlowError          it, or the query, takes too long
├── DistrustedError    over TLS, one side does not trust the other
├── TokenError         our file with the token can't be used
├── DeniedError        it wants another token, or one at all
├── FailedError        it says that it could not answer
├── PartialError       it answered and warns that something is missing
├── SeriesError        it has several numbers for the query
└── GarbageError       what answers is no Prometheus
NoDataError (TransientError)   it has nothing for the query now; not a failure of it
QueryError (InputError)        the query is no PromQL, or never gives a number
"""

from reconciler.prometheus.asking import ask
from reconciler.prometheus.failures import (
    DeniedError,
    DistrustedError,
    FailedError,
    GarbageError,
    NoDataError,
    PartialError,
    PrometheusError,
    QueryError,
    SeriesError,
    SlowError,
    TokenError,
    UnreachableError,
)

__all__ = [
    "DeniedError",
    "DistrustedError",
    "FailedError",
    "GarbageError",
    "NoDataError",
    "PartialError",
    "PrometheusError",
    "QueryError",
    "SeriesError",
    "SlowError",
    "TokenError",
    "UnreachableError",
    "ask",
]
