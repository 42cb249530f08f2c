"""RateLimits."""

from __future__ import annotations

from tests.policy.rules.documents import doc

TARGET = "target: {workloads: {labels: {app: a}}}"


def limits(fields: str) -> str:
    """A RateLimit for workloads of these fields."""
    return doc("RateLimit", f"spec: {{{TARGET}, {fields}}}\n")


def local(fields: str) -> str:
    """A RateLimit with one local limit of these fields."""
    return limits(f"local: [{{name: a, requests: 1, {fields}}}]")


def target(fields: str) -> str:
    """A RateLimit with one local limit and this target."""
    return doc("RateLimit", f"spec: {{target: {{{fields}}}, local: [{{name: a, requests: 1}}]}}\n")


def counted(fields: str) -> str:
    """A RateLimit with a global limit, counted by a service of these fields."""
    return limits(f"global: {{service: {{{fields}}}, domain: d, limits: [{{name: l, requests: 1, unit: DAY}}]}}")


def both(one: str, other: str) -> str:
    """A marked RateLimit, and one of another name with another target."""
    return one + "---\n" + target(other).replace("target", "^target").replace("case", "other")


RULES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rules}
spec:
  hosts: [a]
  http:
  - {name: one, match: [{uri: {prefix: /one}}], route: [{destination: {host: a}}]}
  - {name: two, route: [{destination: {host: a}}]}
---
"""
DELEGATING = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root}
spec: {hosts: [a], http: [{name: one, delegate: {name: leaf}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf}
spec: {http: [{route: [{destination: {host: a}}]}]}
---
"""
EDGE_TOO = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: other}
spec: {selector: {role: edge}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [other.example.com]}]}
---
"""
GRPC = """\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: counter}
spec: {hosts: [c.default.svc.cluster.local], resolution: STATIC, ports: [{name: grpc, number: 80, protocol: GRPC}], endpoints: [{address: 10.0.0.9}]}
"""

CASES: list[tuple[str, str]] = [
    ("missing-field", doc("RateLimit", f"^spec: {{{TARGET}}}\n")),
    ("missing-field", limits("local: [^{name: a}]")),
    ("missing-field", limits("local: [^{requests: 1}]")),
    ("missing-field", limits("global: {service: {host: two}, domain: d, limits: [^{name: a, requests: 1}]}")),
    ("missing-field", limits("global: {service: {host: two, port: {number: 80}}, domain: d, limits: ^[]}")),
    ("missing-field", local("match: {queryParams: {^'': {}}}")),
    ("value", local("burst: ^0")),
    ("value", limits("local: [{name: a, requests: ^0}]")),
    ("value", limits("local: [{name: a, requests: ^4294967296}]")),
    ("type", limits("local: [{name: a, requests: ^'5'}]")),
    ("enum", limits("global: {service: {host: two}, domain: d, limits: [{name: a, requests: 1, unit: ^WEEK}]}")),
    ("unknown-field", local("^unit: MINUTE")),
    ("one-of", doc("RateLimit", "spec: {^target: {}, local: [{name: a, requests: 1}]}\n")),
    ("one-of", doc("RateLimit", "spec: {^target: {gateway: edge, workloads: {labels: {app: a}}}, local: [{name: a, requests: 1}]}\n")),
    ("no-effect", target("^workloads: {}")),
    ("label", target("workloads: {labels: {app: ^'*'}}")),
    ("name", target("gateway: ^a/b/c")),
    ("name", target("virtualService: {name: ^A/b}")),
    ("name", limits("local: [{name: ^a_b, requests: 1}]")),
    ("duplicate-value", target("virtualService: {name: x, routes: [a, ^a]}")),
    ("duplicate-value", limits("local: [{name: a, requests: 1}, {name: ^a, requests: 2}]")),
    ("duplicate-value", local("by: [{header: x}, ^{header: X}]")),
    ("one-of", local("by: [^{}]")),
    ("one-of", local("by: [^{header: x, path: true}]")),
    ("one-of", local("by: [^{path: false}]")),
    ("one-of", local("match: {^path: {}}")),
    ("value", local("match: {headers: {x: {prefix: ^''}}}")),
    ("regex", local("match: {path: {regex: ^'/a(?=b)'}}")),
    ("no-effect", local("match: {^method: {exact: get}}")),
    ("header-name", local("match: {headers: {^':path': {exact: a}}}")),
    ("header-name", local("by: [{header: ^'x y'}]")),
    ("duration", local("per: ^49ms")),
    ("duration", local("per: ^0s")),
    ("duration", local("per: ^5")),
    ("duration", limits("global: {service: {host: two, port: {number: 80}}, domain: d, timeout: ^0s, limits: [{name: a, requests: 1, unit: DAY}]}")),
    ("value", limits("local: [{name: a, requests: 1}], response: {status: ^200}")),
    ("value", limits("local: [{name: a, requests: 1}], response: {status: ^430}")),
    ("header-name", limits("local: [{name: a, requests: 1}], response: {headers: {^'a b': x}}")),
    ("header-value", limits("local: [{name: a, requests: 1}], response: {headers: {a: ^'%NONE%'}}")),
    # other documents
    ("ref-selector", target("workloads: ^{labels: {app: b}}")),
    ("ref-gateway", target("gateway: ^egde")),
    ("ref-shared-port", EDGE_TOO + target("gateway: ^edge")),
    ("ref-route", target("virtualService: {name: ^x}")),
    ("ref-route", RULES + target("virtualService: {name: rules, routes: [one, ^three]}")),
    ("ref-route", DELEGATING + target("virtualService: ^{name: root}")),
    ("ref-route", GRPC.removeprefix("---\n") + "---\n" + RULES.replace("/one}}], route: [{destination: {host: a}}]", "/one}}], redirect: {uri: /two}") + counted("host: c").replace("workloads: {labels: {app: a}}", "virtualService: ^{name: rules}")),
    ("ref-several-counts", RULES.replace("{prefix: /one}}", "{prefix: /one}}, {uri: {prefix: /uno}}") + target("virtualService: {name: rules}").replace("local", "^local")),
    ("ref-host", counted("host: ^b")),
    ("ref-host", GRPC.replace("spec: {", "spec: {exportTo: ['~'], ").removeprefix("---\n") + "---\n" + counted("host: ^c")),
    ("ref-port", counted("host: two").replace("service", "^service")),
    ("ref-port", counted("host: two, port: {number: ^82}")),
    ("ref-port", counted("host: two, port: {number: ^80}")),
    ("ref-port", counted("host: ^a")),
]  # fmt: skip

PAIRS: list[tuple[str, str]] = [
    ("ref-duplicate-limit", both(target("workloads: {labels: {app: a}}").replace("target", "^target"), "workloads: {labels: {version: v1}}")),
    ("ref-duplicate-limit", both(target("gateway: edge").replace("target", "^target"), "gateway: default/edge")),
    ("ref-duplicate-limit", both(target("virtualService: {name: rules}").replace("target", "^target"), "virtualService: {name: rules, routes: [two]}") + "---\n" + RULES.removesuffix("---\n")),
    ("ref-duplicate-limit", counted("host: c").replace("name: l", "name: ^l") + "---\n" + counted("host: c").replace("name: l", "name: ^l").replace("case", "other").replace("DAY", "HOUR").replace("workloads: {labels: {app: a}}", "gateway: edge") + GRPC),
]  # fmt: skip
