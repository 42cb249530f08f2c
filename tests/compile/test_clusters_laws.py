"""Laws of clusters: what may be written is what Envoy takes, the same whatever the order it was written in."""

from __future__ import annotations

from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compile import Prototypes
from reconciler.compile.clusters import Built, Clusters
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.offline import offline
from reconciler.compile.sources import FilesSource
from reconciler.compile.tls import Site
from reconciler.compile.viewer import Viewer
from reconciler.envoy.validation import Validator
from reconciler.model.key import Key
from reconciler.model.protos import encode
from reconciler.model.proxy import Certificates
from reconciler.model.resource import View
from reconciler.model.secrets import secret_resource
from reconciler.model.services import declared
from reconciler.yamldoc import dump
from tests.compile.meshes import documents, house_templates, mesh_of
from tests.compile.trafficpolicies import resolutions, traffic_policies

_PROTOTYPES = Prototypes.parse(house_templates())
_PORTS = {80: "HTTP", 90: "GRPC", 443: "TLS", 5432: "TCP"}
_HOSTS = ("a.example.com", "*.wild.example.com", "b.example.com", "c.example.com")
_VIEWERS = (
    Viewer(namespace="default"),
    Viewer(namespace="default", locality="eu/a/1", labels=(("app", "a"), ("version", "v1"))),
    Viewer(namespace="default", locality="us/b", gateway=True),
)
_OWN = Certificates(directory="/c", certificate_chain="/c/c", private_key="/c/k", root_certificate="/c/r")


def _document(kind: str, name: str, spec: dict[str, Any]) -> str:
    return dump({"kind": kind, "metadata": {"name": name}, "spec": spec})


@st.composite
def _texts(draw: st.DrawFn) -> list[str]:
    """Services with a rule each; the wildcard is looked up for each request."""
    found = [_document("Mesh", "mesh", {"interception": draw(st.sampled_from(["NONE", "REDIRECT"]))})]
    for number, host in enumerate(_HOSTS):
        ports = [{"number": port, "name": f"p{port}", "protocol": name} for port, name in _PORTS.items()]
        where = {"resolution": "DYNAMIC_DNS"} if "*" in host else draw(resolutions())
        found.append(_document("ServiceEntry", f"s{number}", {"hosts": [host], "ports": ports, **where}))
        policies = traffic_policies(tuple(_PORTS))
        subsets = [
            {"name": name, "labels": {"version": name}}
            | ({"trafficPolicy": draw(policies)} if draw(st.booleans()) else {})
            for name in ("v1", "v2")
        ]
        spec = {"host": host, "trafficPolicy": draw(policies), "subsets": subsets}
        found.append(_document("DestinationRule", f"d{number}", spec))
    return found


def _built(texts: list[str], viewer: Viewer, certificates: Certificates) -> list[Built]:
    mesh = mesh_of(documents(*texts))
    index = Index.of(mesh, declared(mesh))
    clusters = Clusters(index, _PROTOTYPES, interception=mesh.settings.interception)
    site = Site(FilesSource("/e"), certificates)
    refs = [ClusterRef(host, port, subset) for host in _HOSTS for port in _PORTS for subset in ("", "v1", "v2", "gone")]
    return [clusters.resources(ref, site, viewer=viewer) for ref in refs]


def _view(built: list[Built]) -> View:
    secrets = {secret for item in built for secret in item.secrets}
    endpoints = (item.endpoints for item in built if item.endpoints is not None)
    resources = [*(item.cluster for item in built), *endpoints, *map(secret_resource, secrets)]
    return View.of(Key("default", "p"), resources)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(texts=_texts(), viewer=st.sampled_from(_VIEWERS), own=st.sampled_from([_OWN, Certificates(directory="/c")]))
def test_envoy_takes_whatever_may_be_written(texts: list[str], viewer: Viewer, own: Certificates) -> None:
    """Every field, on every kind of port and with every resolution, alone and beside the others; and nothing deprecated."""
    view = _view(_built(texts, viewer, own))
    verdict = Validator().ask(_bootstrap(view))
    assert verdict.complaint == ""
    assert [text for text in verdict.warnings if "deprecated" in text] == []


def _bootstrap(view: View) -> bytes:
    """A bootstrap with these clusters, and nothing else."""
    message = Bootstrap()
    message.static_resources.clusters.extend(offline(view).clusters)
    return encode(message)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(texts=_texts(), viewer=st.sampled_from(_VIEWERS), seed=st.randoms(use_true_random=False))
def test_clusters_are_the_same_in_any_order_of_documents(texts: list[str], viewer: Viewer, seed: Any) -> None:
    """Byte for byte, and whoever asked before."""
    first = _view(_built(texts, viewer, _OWN))
    shuffled = list(texts)
    seed.shuffle(shuffled)
    assert _view(_built(shuffled, viewer, _OWN)).version == first.version
