"""Several VirtualServices for one host: put together, unless two rules take every request."""

from __future__ import annotations

import pytest

from reconciler.policy import load
from tests.policy.memory import BASE, MemoryTree

_OPEN = "[{route: [{destination: {host: a}}]}]"


def _vs(name: str, rest: str, *, hosts: str = "[a]", http: str = _OPEN) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: {hosts}
  http: {http}
{rest}"""


def _found(one: str, two: str) -> list[tuple[str, str]]:
    loaded = load(MemoryTree({"policies/base.yaml": BASE, "policies/one.yaml": one, "policies/two.yaml": two}))
    return [(str(item.file), item.code) for item in loaded.diagnostics if item.code == "conflicting-hosts"]


_BOTH = [("policies/one.yaml", "conflicting-hosts"), ("policies/two.yaml", "conflicting-hosts")]


@pytest.mark.parametrize(
    "two",
    [
        _vs("two", ""),
        _vs("two", "", hosts="[b.com, a.default.svc.cluster.local]"),
        _vs("two", "", http="[{match: [{uri: {prefix: /}, name: n, statPrefix: s}], route: [{destination: {host: a}}]}]"),
        _vs("two", "", http='[{match: [{port: 80}, {uri: {regex: ".*"}, headers: {}}], route: [{destination: {host: a}}]}]'),
        _vs("two", "", http="[{match: [{uri: {exact: /x}}], redirect: {authority: b.com}}, {redirect: {authority: b.com}}]"),
        _vs("two", "  exportTo: [.]\n"),
        _vs("two", "  gateways: [mesh, edge]\n"),
    ],
)  # fmt: skip
def test_rules_that_both_take_everything_of_a_host_conflict(two: str) -> None:
    """However the host is spelled and whatever the form; both documents are named."""
    assert _found(_vs("one", ""), two) == _BOTH
    assert _found(two.replace("name: two", "name: one"), _vs("two", "")) == _BOTH


@pytest.mark.parametrize(
    "two",
    [
        _vs("two", "", http="[{match: [{uri: {prefix: /x}}], route: [{destination: {host: a}}]}]"),
        _vs("two", "", http="[{match: [{headers: {x: {}}}], route: [{destination: {host: a}}]}]"),
        _vs("two", "", http="[{match: [{port: 80}], route: [{destination: {host: a}}]}]"),
        _vs("two", "", hosts="[two]"),
        _vs("two", "", hosts="['*.default.svc.cluster.local']"),
        _vs("two", "  gateways: [edge]\n"),
        _vs("two", "  exportTo: ['~']\n"),
    ],
)  # fmt: skip
def test_rules_that_leave_each_other_something_do_not(two: str) -> None:
    """Matches, other hosts, other gateways, other namespaces."""
    assert _found(_vs("one", ""), two) == []


def test_namespaces_that_do_not_overlap_are_no_conflict() -> None:
    """Each proxy sees one of the two."""
    one, two = _vs("one", "  exportTo: [x, y]\n"), _vs("two", "  exportTo: [z]\n")
    assert _found(one, two) == []
    assert _found(one, two.replace("[z]", "[z, y]")) == _BOTH
