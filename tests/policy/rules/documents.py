"""Documents around what a case is about."""

from __future__ import annotations

ISTIO = "apiVersion: networking.istio.io/v1\nkind: {}\nmetadata: {{name: case}}\n{}"
OWN = "apiVersion: reconciler/v1alpha1\nkind: {}\nmetadata: {{name: case}}\n{}"


def doc(kind: str, rest: str) -> str:
    """A whole document of a kind around its spec."""
    return (
        OWN if kind in {"Proxy", "Mesh", "RateLimit", "HealthCheck", "Rollout", "AnalysisTemplate"} else ISTIO
    ).format(kind, rest)


def rule(fields: str) -> str:
    """A VirtualService for `a` with one rule of these fields, and a route."""
    return doc("VirtualService", f"spec: {{hosts: [a], http: [{{route: [{{destination: {{host: a}}}}], {fields}}}]}}\n")


def answer(fields: str) -> str:
    """A VirtualService for `a` with one rule of these fields alone."""
    return doc("VirtualService", f"spec: {{hosts: [a], http: [{{{fields}}}]}}\n")


def match(fields: str) -> str:
    """A VirtualService for `a` whose rule has one match of these fields."""
    return rule(f"match: [{{{fields}}}]")


def connections(fields: str) -> str:
    """A VirtualService for `secure`, which speaks TLS, with these `tls` and `tcp` rules."""
    return doc("VirtualService", f"spec: {{hosts: [secure], {fields}}}\n")


def policy(fields: str) -> str:
    """A DestinationRule for `two` with a traffic policy of these fields."""
    return doc("DestinationRule", f"spec: {{host: two, trafficPolicy: {{{fields}}}}}\n")


def balancer(fields: str) -> str:
    """A DestinationRule for `two` with a load balancer of these fields, and outlier detection."""
    return policy(f"outlierDetection: {{}}, loadBalancer: {{{fields}}}")


def service(fields: str) -> str:
    """A ServiceEntry for `b.example.com`, port 80, with these fields."""
    return doc("ServiceEntry", f"spec: {{hosts: [b.example.com], ports: [{{name: a, number: 80}}], {fields}}}\n")


def workload(fields: str) -> str:
    """A WorkloadEntry of these fields."""
    return doc("WorkloadEntry", f"spec: {{{fields}}}\n")


def server(fields: str) -> str:
    """A Gateway with one server of these fields."""
    return doc("Gateway", f"spec: {{selector: {{role: edge}}, servers: [{{{fields}}}]}}\n")


def tls(fields: str) -> str:
    """A Gateway with one HTTPS server, with these TLS settings."""
    return server(f"port: {{number: 443, name: a, protocol: HTTPS}}, hosts: [a.example.com], tls: {{{fields}}}")


def ingress(fields: str) -> str:
    """A Sidecar of the workloads of `a` with one ingress listener of these fields."""
    return doc("Sidecar", f"spec: {{workloadSelector: {{labels: {{app: a}}}}, ingress: [{{{fields}}}]}}\n")


def egress(fields: str) -> str:
    """A Sidecar with one egress listener of these fields."""
    return doc("Sidecar", f"spec: {{egress: [{{{fields}}}]}}\n")
