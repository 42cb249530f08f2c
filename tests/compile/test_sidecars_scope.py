"""Which services a sidecar may see."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.compile.scope import Scope
from reconciler.model.hosts import covers

_NAMESPACES = st.sampled_from([".", "*", "~", "default", "shop"])
_HOSTS = st.sampled_from(["*", "*.com", "*.a.com", "a.com", "b.a.com", "*.b.a.com", "c"])
_PATTERNS = st.lists(st.builds(lambda namespace, host: f"{namespace}/{host}", _NAMESPACES, _HOSTS), max_size=4)


@given(patterns=_PATTERNS, namespace=st.sampled_from(["default", "shop"]), host=_HOSTS)
def test_a_host_is_in_scope_if_any_pattern_says_so(patterns: list[str], namespace: str, host: str) -> None:
    """By its namespace, and by a host of which one covers the other; a Sidecar of `default` says `.` for itself."""
    expected = any(
        place in {"*", namespace, "." if namespace == "default" else namespace}
        and (covers(pattern, host) or covers(host, pattern))
        for place, _, pattern in (text.partition("/") for text in patterns)
    )
    assert Scope.of(patterns, "default").includes(namespace, host) is expected


@given(patterns=_PATTERNS)
def test_the_order_of_patterns_never_matters(patterns: list[str]) -> None:
    """Equal scopes are equal values, and proxies with equal ones share what is compiled for them."""
    one, other = Scope.of(patterns, "default"), Scope.of([*reversed(patterns), *patterns], "default")
    assert (one, hash(one)) == (other, hash(other))
