"""HealthChecks."""

from __future__ import annotations

from tests.policy.rules.documents import doc


def check(fields: str, host: str = "two") -> str:
    """A HealthCheck of these fields for a service with two ports."""
    return doc("HealthCheck", f"spec: {{host: {host}, {fields}}}\n")


def asking(fields: str) -> str:
    """A HealthCheck by HTTP."""
    return check(f"http: {{path: /, {fields}}}")


def both(one: str, other: str) -> str:
    """Two HealthChecks for one host, both marked there."""
    first, second = (check(f"tcp: {{}}{fields}", "^two") for fields in (one, other))
    return first + "---\n" + second.replace("case", "other")


ABROAD = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: abroad, namespace: far}
spec: {hosts: [abroad.example.com], exportTo: [.], resolution: STATIC, ports: [{name: http, number: 80, protocol: HTTP}], endpoints: [{address: 10.0.0.9}]}
---
"""
ANY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: any}
spec: {hosts: ['*.any.example.com'], resolution: STATIC, ports: [{name: http, number: 80, protocol: HTTP}], endpoints: [{address: 10.0.0.9}]}
---
"""
SUBSETS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subsets}
spec: {host: two, subsets: [{name: all}]}
---
"""

CASES: list[tuple[str, str]] = [
    ("missing-field", doc("HealthCheck", "^spec: {tcp: {}}\n")),
    ("missing-field", check("^http: {}")),
    ("one-of", doc("HealthCheck", "^spec: {host: two}\n")),
    ("one-of", check("http: {path: /}, ^tcp: {}")),
    ("one-of", check("tcp: {}, ^grpc: {}")),
    ("duplicate-value", check("tcp: {}, ports: [80, ^80]")),
    ("duplicate-value", SUBSETS + check("tcp: {}, subsets: [all, ^all]")),
    ("name", SUBSETS + check("tcp: {}, subsets: [^a_b]")),
    ("duration", check("tcp: {}, interval: ^0s")),
    ("duration", check("tcp: {}, timeout: ^5")),
    ("duration", check("tcp: {}, noTrafficInterval: ^25h")),
    ("duration", check("tcp: {}, initialJitter: ^0s")),
    ("duration", check("tcp: {}, intervalJitter: ^1.5ms")),
    ("value", check("tcp: {}, unhealthyThreshold: ^0")),
    ("value", check("tcp: {}, healthyThreshold: ^0")),
    ("value", check("tcp: {}, panicThreshold: ^101")),
    ("value", check("tcp: {}, port: ^0")),
    ("value", check("tcp: {}, ports: [^65536]")),
    ("value", check("http: {path: ^healthz}")),
    ("value", check("http: {path: ^'/a b'}")),
    ("host", asking("host: ^'a b'")),
    ("host", check("grpc: {authority: ^a/b}")),
    ("value", asking("expectedStatuses: [^{start: 300, end: 200}]")),
    ("value", asking("expectedStatuses: [{start: ^99, end: 200}]")),
    ("value", asking("expectedStatuses: [{start: 200, end: ^600}]")),
    ("enum", asking("method: ^CONNECT")),
    ("header-name", asking("headers: {^Host: a}")),
    ("header-name", asking("headers: {^':path': a}")),
    ("header-value", asking("headers: {a: ^'%NONE%'}")),
    # other documents
    ("ref-host", check("tcp: {}", "^b")),
    ("ref-host", ABROAD + check("tcp: {}", "^abroad.example.com")),
    ("ref-port", check("tcp: {}, ports: [80, ^82]")),
    ("ref-subset", SUBSETS + check("tcp: {}, subsets: [all, ^none]")),
    ("ref-deadline", check("tcp: {}, timeout: ^10s")),
    ("ref-deadline", check("tcp: {}, timeout: ^1s, initialJitter: 9s")),
    ("missing-field", ANY + check("^http: {path: /}", "'*.any.example.com'")),
]  # fmt: skip

PAIRS: list[tuple[str, str]] = [
    ("ref-duplicate-check", both("", "")),
    ("ref-duplicate-check", both(", ports: [80]", "")),
    ("ref-duplicate-check", both(", ports: [80, 81]", ", ports: [81]")),
]  # fmt: skip
