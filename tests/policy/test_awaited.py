"""What registries may bring is not wrong: hosts that no document declares, and instances that no document has."""

from __future__ import annotations

import pytest

from reconciler.errors import Severity
from reconciler.policy import DocumentCache, Loaded, load
from tests.policy.memory import BASE, MemoryTree
from tests.policy.rules.documents import answer, doc
from tests.policy.rules.references import named
from tests.policy.rules.registries import registries

KUBERNETES = "{name: k, kubernetes: {}}"
FILES = "{name: f, fileSd: {files: [/t.json]}}"
ONE = "{name: o, fileSd: {files: [/t.json], host: nobody}}"
DNS = "{name: d, dns: {services: [{host: nobody, names: [a.com], port: 1}]}}"
CONSUL = "{name: c, consul: {}}"
PLUGIN = "{name: p, plugin: {adapter: x}}"
SENDING = answer("route: [{destination: {host: nobody}}]")
NOBODY = "nobody.default.svc.cluster.local"


def loaded(*texts: str, registries_: str = KUBERNETES, base: str = BASE, cache: DocumentCache | None = None) -> Loaded:
    """A mesh of these documents and registries."""
    files = {f"policies/{number}.yaml": text for number, text in enumerate(texts)}
    mesh = {"policies/mesh.yaml": registries(registries_)} if registries_ else {}
    return load(MemoryTree({**files, **mesh, "policies/base.yaml": base}), cache=cache)


def service(fields: str, host: str = "x.example.com") -> str:
    """A ServiceEntry with these fields."""
    return named(
        doc("ServiceEntry", f"spec: {{hosts: [{host}], ports: [{{name: http, number: 80}}], {fields}}}\n"), "x"
    )


@pytest.mark.parametrize("registry", [KUBERNETES, FILES, ONE, DNS, PLUGIN, f"{CONSUL}, {KUBERNETES}"])
def test_a_host_that_a_registry_may_list_is_a_warning(registry: str) -> None:
    """The commit is good: whether the host is there is not a question about Git. It is told by host, so that it can be answered."""
    out = loaded(SENDING, registries_=registry)
    assert out.mesh is not None
    (item,) = out.diagnostics
    assert (item.code, item.severity, item.file, item.line) == ("ref-host", Severity.WARNING, "policies/0.yaml", 4)
    assert item.message == f"no document declares the host {NOBODY}; unless a registry lists it, requests to it fail"
    assert item.hint.endswith("nothing is to do; otherwise add a ServiceEntry")
    assert out.awaited == {NOBODY: (item,)}
    assert out.besides({NOBODY}) == ()
    assert out.besides({"other"}) == (item,)


@pytest.mark.parametrize(
    ("registry", "host"),
    [
        (KUBERNETES, "api.example.com"),
        (KUBERNETES.replace("{}", "{namespaces: [far]}"), NOBODY),
        (KUBERNETES.replace("{}", "{domain: other.local}"), NOBODY),
        (ONE, "noone"),
        (DNS, "noone"),
        (CONSUL, NOBODY),
    ],
)
def test_a_host_that_no_registry_can_list_is_an_error(registry: str, host: str) -> None:
    """A cluster has the hosts of its services, and a list with a host has that one: anything else is a slip."""
    (item,) = loaded(SENDING.replace("nobody", host), registries_=registry).diagnostics
    assert (item.code, item.severity) == ("ref-host", Severity.ERROR)


@pytest.mark.parametrize(("registry", "count"), [(DNS, 0), (DNS.replace("nobody", "x.com"), 1)])
def test_a_wildcard_is_answered_by_any_host_under_it(registry: str, count: int) -> None:
    """A rule for all hosts of a namespace waits for the one that a registry has there, and for no other."""
    out = loaded(doc("DestinationRule", "spec: {host: '*.default.svc.cluster.local'}\n"), base="", registries_=registry)
    assert [item.code for item in out.diagnostics] == ["ref-host"] * count


def test_without_registries_nothing_is_awaited() -> None:
    """And the same host is the same error as ever."""
    out = loaded(SENDING, registries_="")
    (item,) = out.errors
    assert "Kubernetes Services are not read" in item.hint
    assert not out.awaited
    assert out.besides({NOBODY}) is out.diagnostics


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        (doc("DestinationRule", "spec: {host: nobody}\n"), "this rule does nothing"),
        (
            doc("VirtualService", "spec: {hosts: [nobody], http: [{route: [{destination: {host: a}}]}]}\n"),
            "sidecars use these rules for it on port 80 and HTTP_PROXY ports only",
        ),
        (doc("Sidecar", f"spec: {{egress: [{{hosts: ['*/{NOBODY}']}}]}}\n"), "nothing is let through by it"),
        (
            doc(
                "RateLimit",
                "spec: {target: {workloads: {labels: {app: a}}}, global: {domain: d, service: {host: nobody}, "
                "limits: [{name: x, requests: 1, unit: SECOND}]}}\n",
            ),
            "nobody can be asked",
        ),
    ],
)
def test_whatever_names_an_awaited_host_says_what_depends_on_it(text: str, effect: str) -> None:
    """Each of them is void once the host is listed."""
    out = loaded(text)
    (item,) = out.diagnostics
    assert (item.code, item.severity) == ("ref-host", Severity.WARNING)
    assert item.message.endswith(f"{NOBODY}; unless a registry lists it, {effect}")
    assert out.besides({NOBODY}) == ()


def test_a_slip_is_still_recognised() -> None:
    """A host that is nearly another one is probably that one."""
    (item,) = loaded(SENDING.replace("nobody", "twoo"), registries_=FILES).diagnostics
    assert item.hint == "did you mean two.default.svc.cluster.local?"


@pytest.mark.parametrize(
    "text",
    [
        doc("DestinationRule", "spec: {host: '*.default.svc.cluster.local'}\n"),
        doc("DestinationRule", "spec: {host: '*.far.svc.cluster.local'}\n"),
        doc("Sidecar", "spec: {egress: [{hosts: ['*/*.far.svc.cluster.local', far/*]}]}\n"),
        doc("Sidecar", "spec: {egress: [{port: {number: 9999, name: a, protocol: HTTP}, hosts: ['./*']}]}\n"),
        doc("DestinationRule", "spec: {host: a, subsets: [{name: new, labels: {version: new}}]}\n"),
        doc("DestinationRule", "spec: {host: two, subsets: [{name: new, labels: {version: new}}]}\n"),
        service("resolution: STATIC, workloadSelector: {labels: {app: none}}"),
        service("resolution: STATIC", NOBODY),
    ],
)  # fmt: skip
def test_what_registries_may_bring_is_no_finding(text: str) -> None:
    """Services under a wildcard, in a namespace or at a port; instances with a label, or at all."""
    assert loaded(text).diagnostics == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (service("resolution: STATIC"), "no-endpoints"),
        (
            service("resolution: DNS, endpoints: [{address: a.com}]", NOBODY)
            + "---\n"
            + doc("DestinationRule", "spec: {host: nobody, subsets: [{name: new, labels: {version: new}}]}\n"),
            "ref-endpoints",
        ),
        (
            service("resolution: STATIC, endpoints: [{address: 10.9.9.9}]")
            + "---\n"
            + doc("DestinationRule", "spec: {host: x.example.com, subsets: [{name: new, labels: {version: new}}]}\n"),
            "ref-endpoints",
        ),
    ],
)
def test_what_no_registry_can_bring_is_said_as_ever(text: str, code: str) -> None:
    """Services that take no instances, or whose host is none of a registry's."""
    assert [item.code for item in loaded(text).diagnostics] == [code]


def test_subsets_are_gits_whoever_lists_the_host() -> None:
    """No registry has subsets, so one that no DestinationRule has is wrong in any case."""
    sending = SENDING.replace("host: nobody", "host: nobody, subset: v1")
    (error,) = loaded(sending).errors
    assert (error.code, error.message) == ("ref-subset", f"no DestinationRule gives {NOBODY} a subset v1")
    rule = doc("DestinationRule", "spec: {host: nobody, subsets: [{name: v1, labels: {version: v1}}]}\n")
    out = loaded(sending, rule)
    assert out.mesh is not None
    assert [item.code for item in out.besides({NOBODY})] == []


def test_a_rollout_may_move_traffic_between_subsets_of_an_awaited_host() -> None:
    """All that it needs of the host is in Git: the split and the subsets."""
    route = "route: [{destination: {host: nobody, subset: v1}, weight: 100}, {destination: {host: nobody, subset: v2}, weight: 0}]"
    rule = doc(
        "DestinationRule",
        "spec: {host: nobody, subsets: [{name: v1, labels: {v: '1'}}, {name: v2, labels: {v: '2'}}]}\n",
    )
    rollout = doc(
        "Rollout",
        "spec: {target: {virtualService: {name: case}}, stable: v1, canary: v2, steps: [{setWeight: 10}, {pause: {}}]}\n",
    )
    out = loaded(answer(route), rule, rollout)
    assert out.mesh is not None
    assert out.besides({NOBODY}) == ()


def test_a_cache_knows_what_is_awaited() -> None:
    """Step by step as at once: with registries, without, and after a change of one route alone."""
    cache = DocumentCache()
    weights = SENDING.replace("{host: nobody}}", "{host: nobody}, weight: 1}")
    steps = [
        (SENDING, KUBERNETES),
        (SENDING, ""),
        (SENDING, FILES),
        (weights, FILES),
        (doc("VirtualService", "spec: {http: []}\n"), FILES),
    ]
    for text, registry in steps:
        assert loaded(text, registries_=registry, cache=cache) == loaded(text, registries_=registry)
