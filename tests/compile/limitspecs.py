"""RateLimits of every shape, as validation lets them through."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reconciler.policy.checks.ratelimit import STATUSES

_NAMES = st.sampled_from(["all", "users", "x-1", "a" * 63])
_HEADERS = st.sampled_from(["x-user", "X-Tier", "cookie", "x.y"])
_COUNTS = st.one_of(st.integers(1, 100), st.sampled_from([1, 2**32 - 1]))
_TEXTS = st.one_of(
    st.sampled_from(["/a", "a.b*", "ä", "(["]).map(lambda text: {"exact": text}),
    st.sampled_from(["/a", "x"]).map(lambda text: {"prefix": text}),
    st.sampled_from(["/a|/b", "[a-z]+", "(?i)x", ".*"]).map(lambda text: {"regex": text}),
)
_ANY_TEXTS: st.SearchStrategy[dict[str, str]] = st.one_of(_TEXTS, st.just({}))


def _fields(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


_MATCHES = _fields(
    path=_TEXTS,
    method=st.sampled_from([{"exact": "GET"}, {"regex": "P.*"}]),
    authority=_TEXTS,
    headers=st.dictionaries(_HEADERS, _ANY_TEXTS, max_size=2),
    withoutHeaders=st.dictionaries(_HEADERS, st.one_of(_ANY_TEXTS, st.just({"regex": "*"})), max_size=2),
    queryParams=st.dictionaries(st.sampled_from(["k", "a b"]), _ANY_TEXTS, max_size=2),
)
_BY = st.lists(
    st.sampled_from(
        [{"header": "X-User"}, {"header": ":authority"}, {"header": ":method"}, {"path": True}, {"queryParameter": "k"},
         {"remoteAddress": True}]
    ),
    unique_by=str,
    max_size=3,
)  # fmt: skip


def _limits(least: int, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    common = {"name": _NAMES, "requests": _COUNTS}
    optional: dict[str, st.SearchStrategy[Any]] = {"match": _MATCHES, "by": _BY}
    if "unit" in more:
        common["unit"] = more.pop("unit")
    one = st.fixed_dictionaries(common, optional=optional | more)
    return st.lists(one, min_size=least, max_size=3, unique_by=lambda item: str(item["name"]))


_LOCAL = _limits(1, per=st.sampled_from(["50ms", "1s", "1m", "24h"]), burst=_COUNTS)
_RESPONSES = _fields(
    status=st.sampled_from(sorted(STATUSES)),
    headers=st.dictionaries(_HEADERS, st.sampled_from(["", "yes", "%REQ(x-user)%", "100%%"]), max_size=2),
    rateLimitHeaders=st.booleans(),
)


def specs(services: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """The fields of a RateLimit other than its target."""
    together = st.fixed_dictionaries(
        {
            "service": services,
            "domain": st.sampled_from(["shop", "a b"]),
            "limits": _limits(1, unit=st.sampled_from(["SECOND", "MINUTE", "HOUR", "DAY"])),
        },
        optional={"timeout": st.sampled_from(["1ms", "10s"]), "failOpen": st.booleans()},
    )
    both = st.fixed_dictionaries({"local": _LOCAL}, optional={"global": together, "response": _RESPONSES})
    return st.one_of(both, st.fixed_dictionaries({"global": together}, optional={"response": _RESPONSES}))
