from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.origin import Finding, Origin
from reconciler.model.services import declared
from reconciler.policy import DocumentCache, FolderTree, load, locate
from reconciler.policy.findings import close
from reconciler.settings import shipped
from reconciler.yamldoc import dump
from tests.policy.cases import OWN, doc, split, vs
from tests.policy.memory import BASE, MemoryTree, found
from tests.policy.rules.rollouts import query

BROKEN_ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b}
spec:
  hosts: [b.default.svc.cluster.local]
  resolution: STATIC
  ports: [{name: http, number: 80, protcol: HTTP}]
  endpoints: [{address: 10.0.0.9}]
"""


def test_all_errors_of_all_files_are_collected() -> None:
    """A person mends everything in one go."""
    files = {
        "policies/base.yaml": BASE,
        "policies/a/one.yml": "a: [\n---\n" + split("    - {destination: {host: a}, weight: '5', wait: 1}\n"),
        "policies/b.yaml": split("    - {destination: {host: nowhere}, weight: -5}\n    - {destination: {host: a}}\n"),
    }
    assert found(files) == [
        "policies/a/one.yml:2:1 error[yaml-syntax]",
        "policies/a/one.yml:10:40 error[type]",
        "policies/a/one.yml:10:45 error[unknown-field]",
        "policies/b.yaml:8:46 error[weight-negative]",
    ]


def test_a_reference_to_a_broken_document_is_not_an_error_of_its_own() -> None:
    """One mistake gives one message: the host, subset, gateway or workload may well be right once it is mended."""
    files = {
        "policies/base.yaml": BASE,
        "policies/b.yaml": BROKEN_ENTRY,
        "policies/rest.yaml": "---\n".join([
            split("    - destination: {host: b}\n"),
            doc("DestinationRule", "spec: {host: b, subsets: [{name: v1, labels: {version: v1}}]}\n"),
        ]),
    }  # fmt: skip
    assert found(files) == ["policies/b.yaml:7:36 error[unknown-field]"]


def test_other_references_are_checked_in_spite_of_a_broken_document() -> None:
    """What the broken document can't have to do with is reported at once."""
    files = {
        "policies/base.yaml": BASE,
        "policies/b.yaml": BROKEN_ENTRY,
        "policies/c.yaml": split("    - destination: {host: c}\n"),
    }
    assert found(files) == ["policies/b.yaml:7:36 error[unknown-field]", "policies/c.yaml:8:27 error[ref-host]"]


@pytest.mark.parametrize(
    ("kind", "broken", "referring"),
    [
        ("DestinationRule", "spec: {host: two, subset: []}\n", split("    - destination: {host: two, port: {number: 80}, subset: v1}\n")),
        ("Gateway", "spec: {server: []}\n", doc("VirtualService", "spec: {hosts: [x.y], gateways: [case], http: [{route: [{destination: {host: a}}]}]}\n")),
        ("WorkloadEntry", "spec: {adress: 1.1.1.1}\n", doc("Proxy", "spec: {workload: case, admin: http://127.0.0.1:1, push: {files: {directory: /d}}}\n")),
        ("WorkloadEntry", "spec: {adress: 1.1.1.1}\n", doc("Sidecar", "spec: {workloadSelector: {labels: {app: x}}, egress: [{hosts: ['*/*']}]}\n")),
        ("Proxy", "spec: {labels: {role: x}}\n", doc("Gateway", "spec: {selector: {role: x}, servers: [{port: {number: 1, name: a, protocol: HTTP}, hosts: ['*']}]}\n")),
        ("VirtualService", "spec: {hosts: [a]}\n", doc("Proxy", "spec: {admin: http://127.0.0.1:1, push: {runtime: {routes: [{virtualService: case, prefix: p, clusters: {v1: c}}]}}}\n")),
        ("Mesh", "spec: {domain: Other}\n", split("    - destination: {host: b}\n")),
    ],
)  # fmt: skip
def test_every_kind_of_reference_waits_for_its_broken_target(kind: str, broken: str, referring: str) -> None:
    """Only the broken document is reported."""
    loaded = load(
        MemoryTree({"policies/base.yaml": BASE, "policies/b.yaml": doc(kind, broken), "policies/c.yaml": referring})
    )
    assert {item.file for item in loaded.diagnostics} == {"policies/b.yaml"}


def test_a_mesh_holds_every_document_sorted_by_key() -> None:
    """Files may be named and split as people like: equal documents give equal meshes."""
    second = BASE.replace("name: edge", "name: another").replace(":9901", ":9902").replace("/edge}", "/another}")
    second = second.partition("---\n")[2].partition("kind: Gateway")[2]
    second = "apiVersion: networking.istio.io/v1\nkind: Gateway" + second
    one = load(MemoryTree({"policies/a.yaml": BASE, "policies/z/b.yml": second}))
    two = load(MemoryTree({"policies/all.yaml": second + "---\n" + BASE}))
    assert one.diagnostics == two.diagnostics == ()
    assert one.mesh is not None
    assert two.mesh is not None
    assert [item.key for item in one.mesh.proxies] == [Key("default", "another"), Key("default", "edge")]
    assert [(item.key, item.spec) for item in one.mesh.policies()] == [
        (item.key, item.spec) for item in two.mesh.policies()
    ]
    assert one.mesh.proxies[0].origin.file == "policies/z/b.yml"


def test_what_servers_write_into_istio_documents_is_accepted() -> None:
    """`kubectl get -o yaml` is a place that policies come from."""
    text = vs("status: {validationMessages: []}\n").replace(
        "{name: case}",
        "{name: case, uid: x, generation: 3, creationTimestamp: 2024-01-01T00:00:00Z, annotations: {a: b}}",
    )
    assert found({"policies/base.yaml": BASE, "policies/case.yaml": text}) == []


def test_old_and_new_api_versions_mean_the_same() -> None:
    """Istio promoted its API without changing it."""
    text = vs("")
    for version in ("v1beta1", "v1alpha3"):
        assert found({"policies/base.yaml": BASE, "policies/x.yaml": text.replace("io/v1", f"io/{version}")}) == []


def test_other_files_and_links_to_them_are_ignored(tmp_path: Path) -> None:
    """Only what ends in .yaml or .yml is a policy."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "base.yaml").write_text(BASE, encoding="utf-8")
    (tmp_path / "policies" / "README.md").write_text("a: [", encoding="utf-8")
    (tmp_path / "policies" / "notes.txt").symlink_to("/etc/passwd")
    assert load(FolderTree(tmp_path)).diagnostics == ()


def test_warnings_leave_a_mesh_and_errors_leave_none() -> None:
    """The mesh is there if and only if nothing has to be mended."""
    warned = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": "apiVersion: v1\nkind: Service\n"}))
    assert (len(warned.warnings), len(warned.errors), warned.mesh is None) == (1, 0, False)
    failed = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": "kind: VirtualService"}))
    assert (len(failed.warnings), bool(failed.errors), failed.mesh is None) == (0, True, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (vs("    tiemout: 5s\n"), "error[unknown-field]: http[0] has no field tiemout\n    did you mean timeout?"),
        (vs("    fault: {delay: {exponentialDelay: 1s}}\n"), "error[unsupported-field]: http[0].fault.delay.exponentialDelay: Envoy has no such delay"),
        (split("    - {destination: {host: a}, weight: '5'}\n"), 'must be a whole number; it is the text "5"\n    remove the quotes'),
        (doc("DestinationRule", "spec: {host: two, trafficPolicy: {loadBalancer: {simple: round_robin}}}\n"), "did you mean ROUND_ROBIN?"),
        (doc("DestinationRule", "spec: {host: [two]}\n"), "host must be text; it is a list"),
        (split("    - destination: {host: a, subset: v2}\n"), "has no subset v2\n    its subsets are v1"),
        (split("    - destination: {host: ab}\n"), "no service has the host ab.default.svc.cluster.local\n    did you mean a.default"),
        (split("    - destination: {host: nosuch}\n"), "no service has the host nosuch.default.svc.cluster.local\n    add a ServiceEntry"),
        (vs("    timeout: 1.5 s\n"), "timeout: '1.5 s' is not a duration\n    write it like 500ms, 10s or 1h30m"),
        ("apiVersion: networking.istio.io/v1\nkind: EnvoyFilter\n", "Istio's EnvoyFilter is not supported\n    set what it patches in envoy-templates/"),
        (OWN.format("Rollout", "spec: {target: {virtualService: {name: a}}, stable: v1, canary: v2, steps: [{setWeight: 5}]}\nstatus: {step: one}\n"), "status.step: input should be a valid integer; the reconciler writes status, in the commit that moves the weight\n    write what its last commit"),
    ],
)  # fmt: skip
def test_messages_say_what_to_do(text: str, words: str) -> None:
    """Plain words, and the likely meaning of a slip."""
    (only,) = load(MemoryTree({"policies/base.yaml": BASE, "policies/case.yaml": text})).diagnostics
    assert words in str(only)
    assert str(only).startswith("policies/case.yaml:")


def test_a_document_of_random_json_never_breaks_loading() -> None:
    """Whatever is in a file, the answer is a diagnostic."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "*", "10s", "v1", "-", "/"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
        max_leaves=25,
    )

    @given(st.sampled_from(KINDS), values)
    def run(head: str, spec: object) -> None:
        version, kind = head.split()
        text = dump({"apiVersion": version, "kind": kind, "metadata": {"name": "case"}, "spec": spec})
        loaded = load(MemoryTree({"policies/base.yaml": BASE, "policies/case.yaml": text}))
        assert (loaded.mesh is None) == bool(loaded.errors)
        for item in loaded.diagnostics:
            assert item.file is not None
            assert item.line is not None

    run()


KINDS = [
    *(f"networking.istio.io/v1 {kind}" for kind in (
        "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Gateway", "Sidecar")),
    "reconciler/v1alpha1 Proxy",
    "reconciler/v1alpha1 Mesh",
]  # fmt: skip
FIELDS = [
    "hosts", "host", "http", "route", "destination", "subset", "weight", "match", "uri", "prefix", "exact", "timeout", "retries",
    "attempts", "ports", "number", "name", "protocol", "resolution", "endpoints", "address", "labels", "servers", "port", "selector",
    "egress", "ingress", "workloadSelector", "defaultEndpoint", "push", "files", "directory", "admin", "workload", "runtime", "routes",
    "virtualService", "clusters", "subsets", "trafficPolicy", "domain", "guards", "a",
]  # fmt: skip


def test_an_unchanged_tree_is_not_read_again() -> None:
    """The whole outcome is remembered, the very object."""
    cache = DocumentCache()
    first = MemoryTree({"policies/base.yaml": BASE})
    again = MemoryTree({"policies/base.yaml": BASE})
    loaded = load(first, cache=cache)
    assert load(again, cache=cache) is loaded
    assert (first.reads, again.reads) == (["policies/base.yaml"], [])


def test_a_changed_file_alone_is_read_again() -> None:
    """And what it says about the others, and they about it, is checked anew."""
    cache = DocumentCache()
    route = split("    - destination: {host: a, subset: v1}\n")
    assert load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": route}), cache=cache).errors == ()
    changed = MemoryTree(
        {"policies/base.yaml": BASE.replace("name: v1, labels", "name: v9, labels"), "policies/x.yaml": route}
    )
    loaded = load(changed, cache=cache)
    assert [item.code for item in loaded.errors] == ["ref-subset"]
    assert changed.reads[0] == "policies/base.yaml"
    assert loaded == load(changed)


def test_a_file_that_moved_reports_its_new_place() -> None:
    """The cache keeps places by path, not by content alone."""
    cache = DocumentCache()
    load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": "kind: VirtualService"}), cache=cache)
    moved = load(MemoryTree({"policies/base.yaml": BASE, "policies/y.yaml": "kind: VirtualService"}), cache=cache)
    assert {item.file for item in moved.errors} == {"policies/y.yaml"}


def test_a_cache_is_bounded() -> None:
    """A daemon that sees many commits keeps the files that it used last."""
    cache = DocumentCache(limit=2)
    for number in range(5):
        load(MemoryTree({"policies/base.yaml": BASE, f"policies/{number}.yaml": "kind: VirtualService"}), cache=cache)
    assert len(cache) == 2


def test_templates_are_the_house_defaults_with_the_trees_overrides() -> None:
    """By file name; the text is handed on as it is."""
    house = {path.name: path.read_text(encoding="utf-8") for path in shipped("envoy-templates").glob("*.yaml")}
    assert house
    name = min(house)
    loaded = load(
        MemoryTree(
            {"policies/base.yaml": BASE, f"envoy-templates/{name}": "# mine\n", "envoy-templates/README.md": "x"}
        )
    )
    assert loaded.errors == ()
    assert dict(loaded.templates) == house | {name: "# mine\n"}


def test_findings_of_other_rooms_get_their_lines() -> None:
    """In print order; what has no document or no file keeps what is known."""
    tree = MemoryTree({"policies/b.yaml": BASE, "policies/a.yaml": BASE})
    findings = [
        Finding(
            code="z",
            message="m",
            origin=Origin("policies/b.yaml", 1),
            path=("spec", "hosts", 0),
            severity=Severity.WARNING,
        ),
        Finding(code="y", message="m", origin=Origin("policies/a.yaml", 0), path=("kind",), key=True),
        Finding(code="x", message="m", hint="h"),
        Finding(code="w", message="m", origin=Origin("policies/gone.yaml", 0)),
        Finding(code="xx", message="m", origin=Origin("", 0), path=("spec", "hosts")),
    ]
    assert locate(findings, tree) == (
        Diagnostic(code="x", message="m", hint="h"),
        Diagnostic(code="xx", message="m"),
        Diagnostic(code="y", message="m", file="policies/a.yaml", line=2, column=1),
        Diagnostic(code="z", message="m", file="policies/b.yaml", line=14, column=11, severity=Severity.WARNING),
        Diagnostic(code="w", message="m", file="policies/gone.yaml"),
    )


def test_two_entries_of_one_host_are_both_named() -> None:
    """And the services that remain are those of the first, as `declared` has them."""
    text = BASE.partition("---\n")[0].replace("name: a}", "name: again}")
    loaded = load(MemoryTree({"policies/base.yaml": BASE, "policies/x.yaml": text}))
    assert [(item.file, item.code) for item in loaded.errors] == [
        ("policies/base.yaml", "ref-duplicate-host"),
        ("policies/x.yaml", "ref-duplicate-host"),
    ]
    assert "ServiceEntry again in policies/x.yaml" in loaded.errors[0].message
    base = load(MemoryTree({"policies/base.yaml": BASE})).mesh
    assert base is not None
    assert len(declared(base)) == 3


def test_a_slip_is_recognised_among_very_many_names_too() -> None:
    """A mesh of thousands of services with hundreds of unknown hosts is read in seconds, and still says what was meant."""
    names = dict.fromkeys(f"service-{number:04}.default.svc.cluster.local" for number in range(2_000))
    for slip in ("servce-0042", "serivce-0042", "serviice-0042", "sarvice-0042", "SERVICE-0042x"):
        assert (
            close(f"{slip}.default.svc.cluster.local", names) == "did you mean service-0042.default.svc.cluster.local?"
        )
    assert close("reviews.default.svc.cluster.local", names) == ""


def test_a_query_may_have_lines_and_comments() -> None:
    """PromQL is written so, and it stays as it was written: a comment ends with its line."""
    text = query(r'"up # of all\n> 0"')
    loaded = load(MemoryTree({"policies/a.yaml": text}))
    assert loaded.mesh is not None, loaded.errors
    (template,) = loaded.mesh.analysis_templates
    (metric,) = template.spec.metrics
    assert metric.provider.prometheus is not None
    assert metric.provider.prometheus.query == "up # of all\n> 0"
