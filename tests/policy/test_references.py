"""What documents say about each other: each rule finds its fault, and leaves what is like it alone."""

from __future__ import annotations

import pytest

from reconciler.errors import Severity
from reconciler.policy import load
from tests.policy.memory import BASE, MemoryTree, marked
from tests.policy.rules.documents import answer, connections, doc
from tests.policy.rules.references import ALONE, RULES, both, database, edge, named


def found(text: str, *, base: str = BASE) -> list[str]:
    """`line:column code` of every message about these documents, and about those that are there already."""
    files = {"policies/case.yaml": text} | ({"policies/base.yaml": base} if base else {})
    return [f"{item.line}:{item.column} {item.code}" for item in load(MemoryTree(files)).diagnostics]


@pytest.mark.parametrize(
    "text", [pytest.param(healthy, id=f"{code}-{n}") for n, (code, _, healthy) in enumerate(RULES)]
)
def test_what_is_like_a_fault_and_is_none_gives_no_message(text: str) -> None:
    """A checker that cries wolf is turned off."""
    assert found(text) == []


@pytest.mark.parametrize(("code", "fault", "healthy"), ALONE)
def test_a_folder_without_proxies_is_checked_as_far_as_it_tells(code: str, fault: str, healthy: str) -> None:
    """People validate policies where no fleet is described."""
    text, places = marked(fault)
    assert found(text, base="") == [f"{places[0]} {code}"]
    assert found(healthy, base="") == []


def test_a_host_that_is_missing_is_one_message() -> None:
    """However often it is named: at the first place that sends to it, and with the number of the others."""
    files = {
        f"policies/{name}.yaml": named(answer("route: [{destination: {host: nobody}}]"), name).replace(
            "[a]", f"[{name}.com]"
        )
        for name in "zyx"
    }
    files["policies/rule.yaml"] = doc("DestinationRule", "spec: {host: nobody}\n")
    loaded = load(MemoryTree(files))
    (item,) = loaded.errors
    assert (item.code, item.file, item.line) == ("ref-host", "policies/x.yaml", 4)
    assert "(it is named in 3 more places)" in item.message
    assert "Kubernetes Services are not read" in item.hint


def test_a_rule_or_route_for_a_missing_host_alone_is_a_warning() -> None:
    """Nothing is sent to it, so nothing fails."""
    (item,) = load(MemoryTree({"policies/a.yaml": doc("DestinationRule", "spec: {host: nobody}\n")})).diagnostics
    assert (item.code, item.severity) == ("ref-host", Severity.WARNING)


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("DestinationRule", "spec: {host: secure, nonsense: 1}\n"),
        ("VirtualService", "spec: {hosts: [x.com], nonsense: 1}\n"),
        ("ServiceEntry", "spec: {hosts: [nobody.com], nonsense: 1}\n"),
    ],
)
def test_nothing_is_said_that_a_broken_document_may_put_right(broken: str, text: str) -> None:
    """One mistake, one message: what refers to the broken document waits until that is mended."""
    sending = {
        "DestinationRule": answer("route: [{destination: {host: secure}}]"),
        "VirtualService": named(doc("VirtualService", "spec: {http: [{route: [{destination: {host: a}}]}]}\n"), "leaf"),
        "ServiceEntry": both(database(), connections("tcp: [{route: [{destination: {host: nobody.com}}]}]")),
    }
    files = {
        "policies/base.yaml": BASE,
        "policies/a.yaml": named(doc(broken, text), "broken"),
        "policies/b.yaml": sending[broken],
    }
    assert [item.code for item in load(MemoryTree(files)).diagnostics] == ["unknown-field"]


def test_a_delegate_has_the_gateways_and_hosts_of_its_roots() -> None:
    """It has none of its own: which of a service's ports is meant is asked of the ports of those who delegate to it."""
    leaf = named(doc("VirtualService", "spec: {http: [{route: [{destination: {host: two}}]}]}\n"), "leaf")
    root = edge("http: [{match: [{uri: {prefix: /b}}], delegate: {name: leaf}}]")
    assert found(both(leaf, root)) == ["4:25 ref-port"]
    inside = root.replace("x.example.com", "two").replace(", gateways: [default/edge]", "")
    assert found(both(leaf, inside)) == []


def test_messages_name_the_other_document() -> None:
    """And say which of the two is used."""
    one = named(doc("DestinationRule", "spec: {host: two, trafficPolicy: {tls: {mode: DISABLE}}}\n"), "first")
    two = named(doc("DestinationRule", "spec: {host: two, trafficPolicy: {tls: {mode: SIMPLE}}}\n"), "second")
    (item,) = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": one, "policies/y.yaml": two})).warnings
    assert (item.file, "DestinationRule first in policies/x.yaml" in item.message) == ("policies/y.yaml", True)


def test_certificates_that_nobody_names_are_one_message() -> None:
    """One line of a Mesh mends them all."""
    files = {
        f"policies/{name}.yaml": both(
            database().replace("db.example", f"{name}.example").replace("10.2.0.1", f"10.2.0.{number}").replace("name: db, name", f"name: {name}, name"),
            named(doc("DestinationRule", f"spec: {{host: {name}.example.com, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}\n"), name),
        )
        for number, name in enumerate(["c", "a", "b"])
    }  # fmt: skip
    (item,) = load(MemoryTree(files)).diagnostics
    assert (item.code, item.file, "2 more" in item.message) == ("ref-certificates", "policies/a.yaml", True)


def test_each_of_very_many_missing_hosts_is_named_with_advice() -> None:
    """The first of them also with what may have been meant."""
    rules = (named(doc("DestinationRule", f"spec: {{host: twoo{number}}}\n"), f"r{number:03}") for number in range(120))
    items = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": both(*rules)})).diagnostics
    assert len(items) == 120
    assert all(item.hint for item in items)
    assert items[0].hint == "did you mean two.default.svc.cluster.local?"
