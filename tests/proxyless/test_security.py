"""Mutual TLS of gRPC applications, towards the daemon and among themselves, with the certificates that policies name."""

from __future__ import annotations

from pathlib import Path

from reconciler.model.key import Key
from reconciler.settings import AdsSettings
from tests.certificates import Authority
from tests.compile.applications import application
from tests.compile.meshes import workload
from tests.proxyless.lab import lab, reviews
from tests.push.traffic import reserved
from tests.xds.lab import eventually


def _certificates(authority: Authority, name: str) -> str:
    """The certificate of an application, as its Proxy names it."""
    own = authority.identify(f"spiffe://cluster.local/ns/default/proxy/{name}", file=name)
    named = f"certificateChain: {own.chain}, privateKey: {own.key}, rootCertificate: {authority.root}"
    return f", certificates: {{{named}}}"


def test_the_stream_and_the_calls_are_secured_by_the_proxies_own_certificates(tmp_path: Path) -> None:
    """ISTIO_MUTUAL on both sides; a caller that comes without TLS is turned away."""
    authority = Authority(tmp_path / "ca")
    own = authority.issue("127.0.0.1", file="daemon")
    settings = AdsSettings(certificate=str(own.chain), key=str(own.key), client_ca=str(authority.root))
    server = application("w", workload="w", extra=_certificates(authority, "w"))
    caller = application(extra=_certificates(authority, "app"))
    with lab(settings) as here, reserved() as port:
        mesh = reviews().split("  endpoints:")[0] + "  workloadSelector: {labels: {app: reviews}}\n"
        mesh = mesh.replace("protocol: GRPC}", f"protocol: GRPC, targetPort: {port}}}")
        policy = "kind: DestinationRule\nmetadata: {name: r}\nspec: {host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"
        ingress = (
            "kind: Sidecar\nmetadata: {name: s}\nspec: {workloadSelector: {labels: {app: reviews}}, ingress: [{port: "
            f"{{number: {port}, protocol: HTTPS, name: x}}, tls: {{mode: ISTIO_MUTUAL}}, defaultEndpoint: '127.0.0.1:{port}'}}]}}"
        )
        owner = workload("w", app="reviews", address="127.0.0.1")
        here.server("secured", address=f"127.0.0.1:{port}", proxy=server)
        client = here.client(caller)
        here.publish(mesh, owner, policy, ingress, proxies=f"{server}\n---\n{caller}")
        eventually(lambda: client.call(5, secure=True) == {"secured": 5})
        (failure,) = client.call(secure=False)
        assert failure.startswith("UNAVAILABLE")
        for name in ("w", "app"):
            here.settled(Key("default", name))
