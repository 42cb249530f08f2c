"""Loading one tree after another: a cache changes what it costs, and nothing of what comes out."""

from __future__ import annotations

import gc
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import PermanentError
from reconciler.model.services import declared
from reconciler.model.tree import FileKind, TreeFile
from reconciler.policy import DocumentCache, Loaded, load
from reconciler.policy.collecting import MANY
from tests.policy.cases import CASES, OWN, doc, split
from tests.policy.memory import BASE, MemoryTree, marked

Content = str | FileKind


def entry(name: str, host: str, more: str) -> str:
    """A service of its own, with one port."""
    spec = f"spec: {{hosts: [{host}], resolution: STATIC, ports: [{{name: http, number: 80}}], {more}}}\n"
    return doc("ServiceEntry", spec).replace("case", name)


def workload(name: str, app: str, address: str = "127.0.0.1") -> str:
    """An instance of an application."""
    return doc("WorkloadEntry", f"spec: {{address: {address}, labels: {{app: {app}}}}}\n").replace("case", name)


def routes(name: str, host: str, weight: int) -> str:
    """Routes of a host, all to the service `a`."""
    return (
        split(f"    - {{destination: {{host: a}}, weight: {weight}}}\n")
        .replace("case", name)
        .replace("[a]", f"[{host}]")
    )


DOCUMENTS = [
    *(entry(name, f"{host}.default.svc.cluster.local", "endpoints: [{address: 10.0.0.1}]") for name in "xy" for host in "ab"),
    *(entry(name, "c.example.com", "workloadSelector: {labels: {app: c}}") for name in "xz"),
    *(workload(name, app) for name in "pq" for app in "ac"),
    *(routes(name, host, weight) for name in "vw" for host in "ab" for weight in (40, 100)),
    *(routes("v", "nowhere", weight) for weight in (40, 100)),
    *(split(f"    - {{destination: {{host: b, subset: v2}}, weight: {weight}}}\n    timeout: {weight}s\n") for weight in (40, 100)),
    *(split(f"    - {{destination: {{host: two, subset: v2}}, weight: {weight}}}\n") for weight in (1, 100)),
    *(doc("VirtualService", f"spec: {{hosts: [b], http: [{{route: [{{destination: {{host: b, subset: v1}}{weight}}}, {{destination: {{host: b, subset: v2}}, weight: 1}}]}}]}}\n").replace("case", "split") for weight in ("", ", weight: 2", ", weight: 3")),
    *(doc("Rollout", f"spec: {{target: {{virtualService: {{name: split}}}}, stable: v1, canary: v2, steps: [{{setWeight: {weight}}}]}}\nstatus: {{step: {step}}}\n") for weight, step in ((1, 0), (1, 1), (2, 1))),
    doc("DestinationRule", "spec: {host: b, subsets: [{name: v1, labels: {version: v1}}]}\n"),
    doc("VirtualService", "spec: {hosts: [a], tcpp: []}\n"),
    doc("ServiceEntry", "spec: {hosts: [b]}\n"),
    OWN.format("Mesh", "spec: {drift: report}\n"),
    OWN.format("Mesh", "spec: {domain: other.local}\n").replace("case", "other"),
    "a: [\n",
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
]  # fmt: skip

FILES = st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=3).map("---\n".join)
PATHS = st.sampled_from([
    "policies/a.yaml", "policies/b/c.yaml", "policies/b/d.yml", "policies/z.yaml", "policies/README", "policies/link.yaml",
])  # fmt: skip
TEMPLATES = st.dictionaries(
    st.sampled_from(["envoy-templates/cluster.yaml", "envoy-templates/nothing.yaml"]),
    st.sampled_from(["{}\n", "a: 1\n"]),
)
EDITS = st.lists(
    st.one_of(
        st.dictionaries(PATHS, st.one_of(FILES, st.none(), st.just(FileKind.SYMLINK)), min_size=1, max_size=2),
        TEMPLATES,
    ),
    min_size=1,
    max_size=6,
)


@given(EDITS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_loading_changes_is_loading_everything(edits: list[Mapping[str, Content | None]]) -> None:
    """After any edits, the same mesh, services, templates and messages as from a load that has never seen anything before."""
    files: dict[str, Content] = {"policies/base.yaml": BASE}
    cache = DocumentCache(limit=3)
    for edit in edits:
        files |= {path: content for path, content in edit.items() if content is not None}
        files = {path: content for path, content in files.items() if path not in edit or edit[path] is not None}
        loaded = load(MemoryTree(files), cache=cache)
        assert loaded == load(MemoryTree(files))
        assert loaded.services == (declared(loaded.mesh) if loaded.mesh else ())


@given(EDITS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_as_it_was_is_the_same_object(edits: list[Mapping[str, Content | None]]) -> None:
    """Later stages tell by `is` what they have to do again: documents, all of one kind, services."""
    files: dict[str, Content] = {"policies/base.yaml": BASE}
    cache = DocumentCache()
    before = load(MemoryTree(files), cache=cache)
    for edit in edits:
        files |= {path: content for path, content in edit.items() if content is not None}
        after = load(MemoryTree(files), cache=cache)
        if before.mesh is not None and after.mesh is not None:
            check_identity(before, after)
        before = after


def check_identity(before: Loaded, after: Loaded) -> None:
    """Of two loads, one after the other."""
    assert before.mesh is not None
    assert after.mesh is not None
    old = {(policy.kind, policy.key): policy for policy in before.mesh.policies()}
    for policy in after.mesh.policies():
        known = old.get((policy.kind, policy.key))
        assert (known == policy) == (known is policy)
    for name in after.mesh.__dataclass_fields__:
        one, other = getattr(before.mesh, name), getattr(after.mesh, name)
        assert (one == other) == (one is other)
    entries = {id(policy.origin) for policy in before.mesh.service_entries}
    services = {service.host: service for service in before.services}
    if before.mesh.workload_entries is after.mesh.workload_entries and before.mesh.settings is after.mesh.settings:
        for service in after.services:
            assert (service is services.get(service.host)) == (id(service.origin) in entries)
    assert (before.templates == after.templates) == (before.templates is after.templates)


def test_a_service_is_another_when_its_workloads_are() -> None:
    """A changed WorkloadEntry changes the services that select it, and no other."""
    selecting = entry("c", "c.example.com", "workloadSelector: {labels: {app: c}}")
    files = {"policies/base.yaml": BASE, "policies/c.yaml": selecting, "policies/w.yaml": workload("w", "c")}
    cache = DocumentCache()
    before = {service.host: service for service in load(MemoryTree(files), cache=cache).services}
    files["policies/w.yaml"] = workload("w", "c", "127.0.0.2")
    after = {service.host: service for service in load(MemoryTree(files), cache=cache).services}
    assert [end.address for end in after["c.example.com"].endpoints] == ["127.0.0.2"]
    assert [host for host in after if after[host] is not before[host]] == ["c.example.com"]


def test_one_changed_document_leaves_the_others_of_its_file_alone() -> None:
    """People keep a service, its subsets and its routes in one file; a new weight is not a new service."""
    files = {"policies/all.yaml": "---\n".join([BASE, routes("v", "a", 40)])}
    cache = DocumentCache()
    before = load(MemoryTree(files), cache=cache)
    after = load(MemoryTree({"policies/all.yaml": "---\n".join([BASE, routes("v", "a", 100)])}), cache=cache)
    assert before.mesh is not None
    assert after.mesh is not None
    assert after.mesh.virtual_services != before.mesh.virtual_services
    assert after.mesh.service_entries is before.mesh.service_entries
    assert after.mesh.destination_rules is before.mesh.destination_rules
    assert after.services is before.services


class GoneTree(MemoryTree):
    """A tree one of whose files can't be read."""

    def read(self, file: TreeFile) -> bytes:
        if file.path == "policies/gone.yaml":
            raise PermanentError("the object is missing")
        return super().read(file)


def test_a_changed_weight_keeps_what_was_found_elsewhere() -> None:
    """A document that is checked again alone takes its own findings with it, at their new lines, and no other's."""
    wrong = split("    - {destination: {host: nowhere}}\n")
    two = "    - {destination: {host: a, subset: v1}, weight: %d}\n    - {destination: {host: gone}, weight: %d}\n"
    files = {
        "policies/base.yaml": BASE,
        "policies/wrong.yaml": wrong.replace("case", "wrong").replace("[a]", "[b]"),
        "policies/b.yaml": split(two % (99, 1)),
    }
    cache = DocumentCache()
    before = [item.place for item in load(MemoryTree(files), cache=cache).diagnostics]
    for text in (split(two % (80, 20)), split(two % (70, 30)).replace("route:", "timeout: 5s\n    route:")):
        files["policies/b.yaml"] = text
        assert load(MemoryTree(files), cache=cache) == load(MemoryTree(files))
    after = [item.place for item in load(MemoryTree(files), cache=cache).diagnostics]
    assert before == ["policies/b.yaml:9:28", "policies/wrong.yaml:5:11", "policies/wrong.yaml:8:28"]
    assert after == ["policies/b.yaml:10:28", "policies/wrong.yaml:5:11", "policies/wrong.yaml:8:28"]


def test_a_tree_that_can_not_be_read_leaves_the_cache_as_it_was() -> None:
    """Nothing of it is half in: the next tree is read as if it had never been."""
    cache = DocumentCache()
    good = {"policies/base.yaml": BASE}
    loaded = load(MemoryTree(good), cache=cache)
    with pytest.raises(PermanentError):
        load(GoneTree({"policies/new.yaml": routes("v", "a", 1), "policies/gone.yaml": ""}), cache=cache)
    assert load(MemoryTree(good), cache=cache) is loaded


def test_a_tree_that_can_not_be_read_again_for_its_lines_is_read_by_the_next_load() -> None:
    """A load that failed late is no load: what it had read so far is not taken for its outcome."""

    class LateTree(MemoryTree):
        def read(self, file: TreeFile) -> bytes:
            if file.path in self.reads:
                raise PermanentError("the object is missing")
            return super().read(file)

    files = {"policies/base.yaml": BASE, "policies/b.yaml": routes("v", "nowhere", 100)}
    cache = DocumentCache()
    load(MemoryTree({"policies/base.yaml": BASE}), cache=cache)
    with pytest.raises(PermanentError):
        load(LateTree(files), cache=cache)
    assert load(MemoryTree(files), cache=cache) == load(MemoryTree(files))


def test_garbage_is_looked_for_again_after_a_load() -> None:
    """A load that puts the search off, however it ends, leaves it as it was; one in a process without it doesn't begin it."""
    for enabled in (True, False):
        was = gc.isenabled()
        try:
            (gc.enable if enabled else gc.disable)()
            load(MemoryTree({"policies/base.yaml": BASE}))
            assert gc.isenabled() is enabled
            with pytest.raises(PermanentError):
                load(GoneTree({"policies/gone.yaml": ""}))
            assert gc.isenabled() is enabled
        finally:
            (gc.enable if was else gc.disable)()


def test_a_mesh_of_many_files_is_set_apart_from_the_search_for_garbage() -> None:
    """Or each search would go through all of its objects, which makes no cycles."""
    before = gc.get_freeze_count()
    try:
        loaded = load(MemoryTree({f"policies/{number}.yaml": workload(f"w{number}", "a") for number in range(MANY)}))
        assert loaded.mesh is not None
        assert gc.get_freeze_count() > before + MANY
    finally:
        gc.unfreeze()


ROUTES = st.builds(
    lambda host, subset, v1, timeout: split(
        f"    - {{destination: {{host: {host}{subset}}}, weight: {v1}}}\n"
        f"    - {{destination: {{host: b}}, weight: {100 - v1}}}\n{timeout}"
    ),
    st.sampled_from(["a", "b", "nowhere"]),
    st.sampled_from(["", ", subset: v1", ", subset: v2"]),
    st.sampled_from([1, 50, 99]),
    st.sampled_from(["", "    timeout: 5s\n"]),
)
B = entry("b", "b.default.svc.cluster.local", "endpoints: [{address: 10.0.0.2, labels: {version: v2}}]")
RULES = st.sampled_from(
    [None, doc("DestinationRule", "spec: {host: b, subsets: [{name: v2, labels: {version: v2}}]}\n")]
)


@given(st.lists(st.tuples(st.sampled_from("xyz"), ROUTES, RULES), min_size=2, max_size=8))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_changed_routes_are_checked_like_all_others(edits: list[tuple[str, str, str | None]]) -> None:
    """Weights and timeouts concern nobody else, destinations may; either way nothing is found twice, or kept too long."""
    files: dict[str, Content] = {"policies/base.yaml": BASE, "policies/b.yaml": B}
    cache = DocumentCache()
    for name, text, rule in edits:
        files[f"policies/{name}.yaml"] = text.replace("case", name).replace("[a]", f"[{name}.example.com]")
        files["policies/rule.yaml"] = rule or "# none\n"
        assert load(MemoryTree(files), cache=cache) == load(MemoryTree(files))


@pytest.mark.parametrize("text", [pytest.param(text, id=code) for code, text in CASES])
def test_a_changed_weight_changes_nothing_that_was_found_elsewhere(text: str) -> None:
    """Whatever is wrong with one document, or between it and another one: a weight of the other has no say in it.

    A check of VirtualServices that compares one with another fails here: `rechecking` has to know of it.
    """
    case, _ = marked(text)
    files: dict[str, Content] = {"policies/base.yaml": BASE, "policies/case.yaml": case}
    for host in ("a", "zz.example.com"):
        cache = DocumentCache()
        for weight in (40, 100, 60):
            files["policies/zz.yaml"] = routes("zz", host, weight)
            assert load(MemoryTree(files), cache=cache) == load(MemoryTree(files))
