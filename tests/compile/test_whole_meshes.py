"""Laws of whole meshes: everything that loads compiles to what Envoy takes, and only what is written decides what that is.

A normal run takes a small sample, the same each time; `--full` takes many, others each time, and shrinks what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st

from reconciler.compile import Compiled, MeshCompiler, Prototypes, compile_mesh
from reconciler.cycle.backstop import check
from reconciler.envoy.validation import Validator
from reconciler.errors import Severity
from reconciler.model.mesh import Mesh
from reconciler.model.resource import ResourceType
from reconciler.policy import DocumentCache, Loaded, load
from tests.compile.meshes import house_templates
from tests.compile.whole.documents import Edit, applied, edits, files_of, load_files, rearranged, valid, whole_meshes
from tests.compile.whole.pointers import clusters_named, endpoints_named, names, routes_named, secrets_named
from tests.compile.whole.world import Values
from tests.policy.memory import MemoryTree
from tests.policy.test_coverage import SIX, fields, used

_TEMPLATES = house_templates()
_PROTOTYPES = Prototypes.parse(_TEMPLATES)
_ODD = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

Hold = Callable[..., None]


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Hold:
    """Hold a law against what strategies draw: `few` times with the same draws in each run, `many` with `--full`."""
    full = bool(request.config.getoption("--full"))

    def held(law: Callable[..., None], *drawn: st.SearchStrategy[Any], few: int, many: int) -> None:
        chosen = settings(max_examples=many if full else few, deadline=None, suppress_health_check=_ODD)
        if not full:
            chosen = settings(chosen, derandomize=True, database=None, phases=[Phase.generate])
        chosen(given(st.tuples(*drawn))(lambda values: law(*values)))()

    return held


def _mesh(loaded: Loaded) -> Mesh:
    assert loaded.mesh is not None
    return loaded.mesh


def _compiled(loaded: Loaded) -> Compiled:
    return compile_mesh(_mesh(loaded), loaded.services, _PROTOTYPES)


def _bytes(compiled: Compiled) -> list[tuple[str, str, bytes]]:
    return [
        (str(key), str(id_), item.body) for key, view in compiled.views.items() for id_, item in view.resources.items()
    ]


def test_envoy_takes_every_mesh_that_loads(hold: Hold) -> None:
    """What our own checks let through, the real Envoy has nothing against; nothing that compiling finds is an error of Envoy's."""

    def law(documents: list[Values]) -> None:
        _, loaded = valid(documents)
        assert check(_mesh(loaded), _TEMPLATES, _TEMPLATES, validator=Validator()) == ()

    hold(law, whole_meshes(), few=8, many=1500)


def test_the_order_of_files_documents_and_keys_never_matters(hold: Hold) -> None:
    """The same documents in other files, in another order, with the keys of their mappings in another order: the same bytes."""

    def law(documents: list[Values], seed: int) -> None:
        left, loaded = valid(documents)
        other = load_files(rearranged(left, seed))
        assert _bytes(_compiled(loaded)) == _bytes(_compiled(other))

    hold(law, whole_meshes(), st.integers(0, 1000), few=10, many=3000)


def test_nothing_in_a_view_points_nowhere(hold: Hold) -> None:
    """Clusters, routes, endpoints and secrets that are named are there; and of the last three no other."""

    def law(documents: list[Values]) -> None:
        _, loaded = valid(documents)
        compiled = _compiled(loaded)
        clashing = any(finding.code == "port-clash" for finding in compiled.findings)
        for view in compiled.views.values():
            assert clusters_named(view) <= names(view, ResourceType.CLUSTER)
            assert endpoints_named(view) == names(view, ResourceType.ENDPOINTS)
            assert secrets_named(view) <= names(view, ResourceType.SECRET)
            assert routes_named(view) <= names(view, ResourceType.ROUTE)
            if not clashing:  # or what the listener that is left out would have named is there
                assert secrets_named(view) == names(view, ResourceType.SECRET)
                assert routes_named(view) == names(view, ResourceType.ROUTE)

    hold(law, whole_meshes(), few=12, many=4000)


def test_what_was_loaded_and_compiled_before_never_shows(hold: Hold) -> None:
    """After any edits, one after another, with one cache and one compiler: what a cold start gives, invalid meshes included."""

    def law(documents: list[Values], steps: Sequence[Sequence[Edit]]) -> None:
        left, _ = valid(documents)
        cache, compiler = DocumentCache(), MeshCompiler(_PROTOTYPES)
        for step in ((), *steps):
            left = applied(left, step)
            files = files_of([item for item in left if not item.get("gone")])
            loaded, cold = load(MemoryTree(files), cache=cache), load_files(files)
            assert loaded == cold
            if cold.mesh is not None:
                warm, fresh = compiler.compile(_mesh(loaded), loaded.services), _compiled(cold)
                assert _bytes(warm) == _bytes(fresh)
                assert warm.findings == fresh.findings

    hold(law, whole_meshes(), edits(), few=6, many=1500)


def test_most_meshes_are_valid_as_they_are_and_say_everything(request: pytest.FixtureRequest) -> None:
    """The laws above are about something: most documents are kept, most meshes whole, and together they use every field."""
    kept, drawn, whole, meshes = 0, 0, 0, 0
    said: set[tuple[Any, str]] = set()

    def count(documents: list[Values]) -> None:
        nonlocal kept, drawn, whole, meshes
        left, loaded = valid(documents)
        kept, drawn = kept + len(left), drawn + len(documents)
        whole, meshes = whole + (len(left) == len(documents)), meshes + 1
        said.update(item for policy in _mesh(loaded).policies() for item in used(policy.spec))
        target(float(len(said)), label="fields in use")

    full = bool(request.config.getoption("--full"))
    chosen = settings(
        max_examples=2000 if full else 12, deadline=None, suppress_health_check=_ODD, database=None,
        derandomize=not full, phases=[Phase.generate],
    )  # fmt: skip
    chosen(given(whole_meshes())(count))()
    every = {(spec, name) for kind in SIX.values() for _, spec in fields(kind) for name in spec.model_fields}
    assert kept > 0.9 * drawn
    assert whole > 0.5 * meshes
    assert len(every & said) > 0.8 * len(every)
    if full:
        assert sorted(f"{spec.__name__}.{name}" for spec, name in every - said) == []


def test_a_mesh_with_a_mistake_is_reduced_to_what_is_valid() -> None:
    """The sieve works: a document with an error goes, and so does what refers to it; the rest stays."""
    rule = {"hosts": ["a.example.com"], "http": [{"route": [{"destination": {"host": "gone.example.com"}}]}]}
    wrong: Values = {
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "v", "namespace": "default"}, "spec": {**rule, "mistake": 1},
    }  # fmt: skip
    right: Values = {
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": {"name": "w", "namespace": "default"}, "spec": {"address": "10.0.0.1"},
    }  # fmt: skip
    left, loaded = valid([wrong, right])
    assert left == [right]
    assert not any(item.severity is Severity.ERROR for item in loaded.diagnostics)
