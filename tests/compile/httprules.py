"""HTTP rules of every shape, as validation lets them through: what `strategies` puts into VirtualServices."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_HEADERS = ("x-a", "x-b", "X-C")
_PERCENT = st.one_of(st.integers(0, 1_000_000).map(lambda value: value / 10_000), st.sampled_from([0, 100, 2.3])).map(
    lambda value: {"value": value}
)
_TEXTS = st.one_of(
    st.sampled_from(["x", "y"]).map(lambda text: {"exact": text}),
    st.sampled_from(["x", "y"]).map(lambda text: {"prefix": text}),
    st.sampled_from(["x+", "[a-z]*"]).map(lambda text: {"regex": text}),
)
_OPTIONAL_TEXTS: st.SearchStrategy[dict[str, str]] = st.one_of(_TEXTS, st.just({}))
_ANY_TEXTS = st.one_of(_OPTIONAL_TEXTS, st.just({"regex": "*"}))
_URIS = st.sampled_from([{"exact": "/x"}, {"prefix": "/"}, {"prefix": "/y"}, {"regex": ".*"}, {"regex": "/[a-z]+"}])
_DURATIONS = st.sampled_from(["1ms", "500ms", "1s", "1h30m"])


def _some(values: st.SearchStrategy[Any], names: tuple[str, ...] = _HEADERS) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, max_size=3)


def _fields(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


def matches(gateways: st.SearchStrategy[list[str]], ports: tuple[int, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions on requests and on proxies."""
    return _fields(
        name=st.sampled_from(["m", "n"]),
        uri=_URIS,
        ignoreUriCase=st.booleans(),
        scheme=st.sampled_from([{"exact": "http"}, {"exact": "https"}]),
        method=st.sampled_from([{"exact": "GET"}, {"regex": "P.*"}]),
        authority=_TEXTS,
        headers=_some(_OPTIONAL_TEXTS),
        withoutHeaders=_some(_ANY_TEXTS),
        queryParams=_some(_OPTIONAL_TEXTS, ("p", "q")),
        port=st.sampled_from(ports),
        sourceLabels=st.sampled_from([{"app": "a"}, {"app": "b", "version": "v1"}]),
        sourceNamespace=st.sampled_from(["default", "shop"]),
        gateways=gateways,
        statPrefix=st.sampled_from(["s", "t"]),
    )


def _headers() -> st.SearchStrategy[dict[str, Any]]:
    values = st.sampled_from(["1", "%START_TIME%", "100%%"])
    operations = _fields(set=_some(values), add=_some(values), remove=st.lists(st.sampled_from(_HEADERS), max_size=2))
    host = st.just({"set": {"host": "h.example.com"}})
    return _fields(request=st.one_of(operations, host), response=operations)


def _answers() -> st.SearchStrategy[dict[str, Any]]:
    redirect = st.one_of(
        _fields(
            uri=st.just("/r"),
            authority=st.just("r.example.com"),
            port=st.sampled_from([80, 443, 8443]),
            scheme=st.sampled_from(["http", "https"]),
            redirectCode=st.sampled_from([301, 302, 303, 307, 308]),
        ).filter(lambda found: found.keys() - {"redirectCode"}),
        st.fixed_dictionaries(
            {
                "prefixRewrite": st.just("/p"),
                "derivePort": st.sampled_from(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]),
            }
        ),
    )
    response = st.fixed_dictionaries(
        {"status": st.sampled_from([200, 418, 599])},
        optional={"body": st.sampled_from([{"string": "text"}, {"bytes": "aGk="}])},
    )
    return st.one_of(
        redirect.map(lambda value: {"redirect": value}), response.map(lambda value: {"directResponse": value})
    )


def _routes(destinations: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    shares = st.lists(
        st.fixed_dictionaries(
            {"destination": destinations, "weight": st.integers(0, 100)}, optional={"headers": _headers()}
        ),
        min_size=1,
        max_size=3,
    ).filter(lambda found: len(found) == 1 or any(share["weight"] for share in found))
    mirrors = st.one_of(
        _fields(mirror=destinations),
        st.fixed_dictionaries({"mirror": destinations, "mirrorPercentage": _PERCENT}),
        st.fixed_dictionaries({"mirror": destinations, "mirrorPercent": st.integers(0, 100)}),
        st.lists(
            st.fixed_dictionaries({"destination": destinations}, optional={"percentage": _PERCENT}), max_size=2
        ).map(lambda found: {"mirrors": found}),
    )
    rewrites = st.one_of(
        _fields(uri=st.just("/w"), authority=st.just("w.example.com")).filter(bool),
        st.just({"uriRegexRewrite": {"match": "/(x)", "rewrite": "/\\1"}}),
    )
    retries = st.one_of(
        st.just({"attempts": 0}),
        st.fixed_dictionaries(
            {"attempts": st.integers(1, 5)},
            optional={
                "perTryTimeout": _DURATIONS,
                "retryOn": st.sampled_from(["503,reset", "5xx", "unavailable,429"]),
                "backoff": _DURATIONS,
                "retryRemoteLocalities": st.booleans(),
                "retryIgnorePreviousHosts": st.booleans(),
            },
        ),
    )
    optional = {"rewrite": rewrites, "timeout": _DURATIONS, "retries": retries}
    rest = st.fixed_dictionaries({"route": shares}, optional=optional)
    return st.builds(lambda one, other: {**one, **other}, rest, mirrors)


def _faults() -> st.SearchStrategy[dict[str, Any]]:
    share = {"percentage": _PERCENT}
    delay = st.fixed_dictionaries({"fixedDelay": _DURATIONS}, optional={**share, "percent": st.integers(0, 100)})
    statuses = st.sampled_from([{"httpStatus": 503}, {"grpcStatus": "UNAVAILABLE"}])
    abort = st.builds(lambda one, other: {**one, **other}, statuses, _fields(**share))
    return _fields(delay=delay, abort=abort).filter(bool)


def _cors() -> st.SearchStrategy[dict[str, Any]]:
    return _fields(
        allowOrigins=st.lists(_TEXTS, max_size=2),
        allowOrigin=st.just(["*"]),
        allowMethods=st.just(["GET", "PUT"]),
        allowHeaders=st.just(["x-a"]),
        exposeHeaders=st.just(["x-b"]),
        maxAge=st.sampled_from(["10s", "24h"]),
        allowCredentials=st.booleans(),
        unmatchedPreflights=st.sampled_from(["UNSPECIFIED", "FORWARD", "IGNORE"]),
    )


def rules(
    *,
    destinations: st.SearchStrategy[dict[str, Any]],
    gateways: st.SearchStrategy[list[str]],
    ports: tuple[int, ...],
    delegates: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[dict[str, Any]]:
    """Whole rules; most send requests on."""
    common = _fields(
        name=st.sampled_from(["primary", "other"]),
        match=st.lists(matches(gateways, ports), max_size=2),
        headers=_headers(),
        fault=_faults(),
        corsPolicy=_cors(),
    )
    routes = _routes(destinations)
    delegated = delegates.map(lambda value: {"delegate": value})
    return st.builds(_rule, common, st.one_of(routes, routes, routes, _answers(), delegated))


def _rule(common: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    """Both together, without what may not stand together."""
    out = {**common, **action}
    if not action.keys().isdisjoint({"redirect", "directResponse"}):
        out.pop("fault", None)
    if "delegate" in action:
        return {name: value for name, value in out.items() if name in {"name", "match", "delegate"}}
    if "host" in out.get("headers", {}).get("request", {}).get("set", {}):
        out.get("rewrite", {}).pop("authority", None)
        if out.get("rewrite") == {}:
            del out["rewrite"]
    return out
