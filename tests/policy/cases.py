"""One fault a case: the code, what it is added to the small mesh by, and (by a mark) where the message points.

A case is YAML of whole documents, or, for brevity, the `spec` of one: then the first word says of which kind.
"""

from __future__ import annotations

from tests.policy.rules.documents import OWN, doc
from tests.policy.rules.edges import CASES as EDGES
from tests.policy.rules.freezes import CASES as FREEZES
from tests.policy.rules.healthchecks import CASES as HEALTH_CHECKS
from tests.policy.rules.healthchecks import PAIRS as CHECKS_IN_PAIRS
from tests.policy.rules.ratelimits import CASES as RATE_LIMITS
from tests.policy.rules.ratelimits import PAIRS as LIMITS_IN_PAIRS
from tests.policy.rules.references import RULES as REFERENCES
from tests.policy.rules.registries import CASES as REGISTRIES
from tests.policy.rules.rollouts import CASES as ROLLOUTS
from tests.policy.rules.rollouts import PAIRS as ROLLOUTS_IN_PAIRS
from tests.policy.rules.routes import CASES as ROUTES
from tests.policy.rules.services import CASES as SERVICES
from tests.policy.rules.telemetry import CASES as TELEMETRY
from tests.policy.rules.traffic import CASES as TRAFFIC

__all__ = ["CASES", "OWN", "PAIRS", "PROXY", "doc", "split", "vs"]

ROUTE = "spec:\n  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n"
SPLIT = "spec:\n  hosts: [a]\n  http:\n  - route:\n"
PROXY = "spec:\n  workload: a-v1\n  admin: http://127.0.0.1:1\n  push: {files: {directory: /d}}\n"


def vs(rest: str) -> str:
    """A VirtualService for `a`, with what follows `http: [{route: ..., `."""
    return doc("VirtualService", ROUTE + rest)


def split(rest: str) -> str:
    """A VirtualService for `a` with these destinations."""
    return doc("VirtualService", SPLIT + rest)


CASES: list[tuple[str, str]] = [
    ("yaml-syntax", "a: b^: c\n"),
    ("yaml-duplicate-key", "a: 1\n^a: 2\n"),
    ("yaml-alias", "a: ^*b\n"),
    ("yaml-depth", "a: " + "[" * 99 + "^[" + "]" * 100 + "\n"),
    ("yaml-key", "^1: a\n"),
    ("yaml-merge-key", "a: &a {}\nb: {^<<: *a}\n"),
    ("yaml-tag", "a: ^!!str b\n"),
    ("yaml-directive", "^%YAML 1.1\n---\na: 1\n"),
    ("yaml-number", "a: ^0777\n"),
    # documents
    ("document", "^a\n"),
    ("document", "^- {apiVersion: networking.istio.io/v1, kind: Sidecar}\n"),
    ("api-version", "^kind: VirtualService\n"),
    ("api-version", "apiVersion: ^networking.istio.io/v2\nkind: VirtualService\nmetadata: {name: x}\nspec: {}\n"),
    ("api-version", "apiVersion: ^networking.istio.io\nkind: VirtualServices\n"),
    ("api-version", "apiVersion: ^v1\nkind: VirtualService\n"),
    ("api-version", "apiVersion: ^security.istio.io/v1\nkind: Gateway\n"),
    ("api-version", "apiVersion: ^reconciler/v1alpha1\nkind: Sidecar\n"),
    ("unknown-kind", "^apiVersion: networking.istio.io/v1\n"),
    ("unknown-kind", "apiVersion: networking.istio.io/v1\nkind: ^VirtualServise\n"),
    ("unknown-kind", "apiVersion: reconciler/v1alpha1\nkind: ^Fleet\n"),
    ("unknown-kind", "apiVersion: v1\nkind: ^VirtualServce\n"),
    ("unknown-kind", "^apiVersion: networking.istio.io/v1\nknd: VirtualService\n"),
    ("api-version", "^apiversion: networking.istio.io/v1\nkind: VirtualService\n"),
    ("api-version", "apiVersion: ^networking.istio.oi/v1\nkind: Gateway\n"),
    ("unsupported-kind", "apiVersion: networking.istio.io/v1alpha3\nkind: ^EnvoyFilter\n"),
    ("unsupported-kind", "apiVersion: security.istio.io/v1\nkind: ^AuthorizationPolicy\n"),
    ("unsupported-kind", "apiVersion: telemetry.istio.io/v1\nkind: ^Telemetry\n"),
    ("unsupported-kind", "apiVersion: gateway.networking.k8s.io/v1\nkind: ^HTTPRoute\n"),
    ("unsupported-kind", "apiVersion: v1\nkind: ^List\nitems: []\n"),
    ("skipped-kind", "apiVersion: apps/v1\nkind: ^Deployment\n"),
    ("skipped-kind", "apiVersion: v1\nkind: ^Service\n"),
    ("skipped-kind", "apiVersion: config.openshift.io/v1\nkind: ^Proxy\n"),
    ("skipped-kind", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: ^Kustomization\n"),
    ("skipped-kind", "^replicaCount: 2\nimage: {tag: v1}\n"),
    ("skipped-kind", "^apiVersion: v2\nname: chart\n"),
    ("skipped-kind", "^- hosts: all\n  tasks: []\n"),
    ("type", "apiVersion: ^[v1]\nkind: Service\n"),
    ("type", "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: ^case\nspec: {egress: [{hosts: ['*/*']}]}\n"),
    ("type", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "case, labels: {a: ^1}")),
    ("type", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "^7")),
    ("type", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "case, annotations: ^a")),
    ("missing-field", "^apiVersion: networking.istio.io/v1\nkind: Sidecar\nspec: {egress: [{hosts: ['*/*']}]}\n"),
    ("missing-field", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("{name: case}", "^{}").replace("metadata: ^", "^metadata: ")),
    ("missing-field", doc("Sidecar", "^spec:\n")),
    ("name", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "^No_Name")),
    ("name", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "case, namespace: ^a.b")),
    ("label", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "case, labels: {a: ^b c}")),
    ("unknown-field", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n^sepc: {}\n")),
    ("unknown-field", doc("Mesh", "spec: {}\n^status: {}\n")),
    ("unknown-field", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "case, ^generateName: x")),
    # fields
    ("unknown-field", vs("    ^tiemout: 5s\n")),
    ("unknown-field", vs("    ^per_try_timeout: 5s\n")),
    ("unknown-field", doc("DestinationRule", "spec:\n  host: two\n  subsets: [{name: v1, ^label: {}}]\n")),
    ("unsupported-field", vs("    fault: {delay: {^exponentialDelay: 1s}}\n")),
    ("unsupported-field", doc("WorkloadEntry", "spec: {address: 1.1.1.1, ^network: a}\n")),
    ("missing-field", split("    - ^weight: 5\n")),
    ("missing-field", split("    - ^destination: {}\n")),
    ("missing-field", split("    - destination: {host: ^''}\n")),
    ("missing-field", doc("VirtualService", "^spec: {gateways: [edge], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("missing-field", doc("VirtualService", "^spec: {hosts: [a]}\n")),
    ("missing-field", doc("VirtualService", "spec: {hosts: [a], http: [^{}]}\n")),
    ("missing-field", doc("ServiceEntry", "^spec: {resolution: DNS, ports: [{name: a, number: 1}]}\n")),
    ("missing-field", doc("WorkloadEntry", "^spec: {}\n")),
    ("missing-field", doc("Gateway", "^spec: {selector: {role: edge}}\n")),
    ("missing-field", doc("Gateway", "spec: {selector: {role: edge}, servers: [^{port: {number: 1, name: a, protocol: HTTP}}]}\n")),
    ("missing-field", doc("Sidecar", "^spec: {workloadSelector: {labels: {app: a}}}\n")),
    ("missing-field", doc("Sidecar", "spec: {^ingress: [{port: {number: 1}, defaultEndpoint: '127.0.0.1:2'}]}\n")),
    ("missing-field", doc("Sidecar", "spec: {egress: [^{}]}\n")),
    ("missing-field", doc("Proxy", PROXY.replace("files: {directory: /d}", "^runtime: {}"))),
    ("type", doc("VirtualService", "spec: {hosts: ^a, http: [{route: [{destination: {host: a}}]}]}\n")),
    ("type", split("    - {destination: {host: a}, weight: ^'5'}\n")),
    ("type", split("    - {destination: {host: a}, weight: ^1.5}\n")),
    ("type", split("    - {destination: {host: a}, weight: ^true}\n")),
    ("type", split("    - {destination: {host: ^5}}\n")),
    ("type", split("    - {destination: {host: a, subset: ^}}\n").replace("^}}", "^null}}")),
    ("type", doc("WorkloadEntry", "spec: ^x\n")),
    ("enum", doc("DestinationRule", "spec: {host: two, trafficPolicy: {loadBalancer: {simple: ^MAGLEV}}}\n")),
    ("enum", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: ^dns, ports: [{name: a, number: 1}]}\n")),
    ("value", split("    - {destination: {host: a, port: {number: ^70000}}}\n")),
    ("value", doc("Mesh", "spec: {guards: {maxDeletePercent: ^101}}\n")),
    ("value", doc("Mesh", "spec: {record: {branch: ^a..b}}\n")),
    ("value", doc("Proxy", PROXY.replace("/d", "^../d"))),
    ("value", vs("    match: [{uri: {prefix: ^''}}]\n")),
    ("value", vs("    retries: {attempts: ^-1}\n")),
    ("value", vs("    retries: {attempts: ^2147483648}\n")),
    ("value", vs("    match: [{headers: {x: {prefix: ^''}}}]\n")),
    ("value", vs("    retries: ^{retryOn: 5xx}\n").replace("retries: ^", "^retries: ")),
    ("value", doc("Sidecar", "spec: {egress: [^{hosts: ['*/*']}, {port: {number: 1}, hosts: ['*/*']}]}\n")),
    ("value", doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 1, protocol: ^HTTP_PROXY}, defaultEndpoint: '127.0.0.1:2'}]}\n")),
    ("value", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: STATIC, ports: [{name: a, number: 1}], endpoints: [{address: 1.1.1.1, ports: {b: ^2}}]}\n")),
    ("duration", vs("    timeout: ^5\n")),
    ("duration", vs("    timeout: ^5 s\n")),
    ("duration", vs("    timeout: ^0s\n")),
    ("duration", vs("    timeout: ^2562048h\n")),
    ("duration", vs("    retries: {attempts: 1, backoff: ^2562048h}\n")),
    ("duration", vs("    retries: {attempts: 1, perTryTimeout: ^10us}\n")),
    ("duration", doc("Mesh", "spec: {verifyDeadline: ^0s}\n")),
    ("control-character", vs('    match: [{uri: {prefix: ^"/a\\nb"}}]\n')),
    ("host", doc("VirtualService", "spec: {hosts: [^a_b], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("host", doc("VirtualService", "spec: {hosts: [^'*'], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("host", split("    - destination: {host: ^'*.default.svc.cluster.local'}\n")),
    ("host", split("    - destination: {host: ^10.0.0.1}\n")),
    ("host", doc("DestinationRule", "spec: {host: ^A}\n")),
    ("host", doc("ServiceEntry", "spec: {hosts: [^'*'], resolution: STATIC, ports: [{name: a, number: 1}], endpoints: [{address: 1.1.1.1}]}\n")),
    ("host", doc("Gateway", "spec: {selector: {role: edge}, servers: [{port: {number: 1, name: a, protocol: HTTP}, hosts: [^short]}]}\n")),
    ("host", doc("Gateway", "spec: {selector: {role: edge}, servers: [{port: {number: 1, name: a, protocol: HTTP}, hosts: [^A/b.c]}]}\n")),
    ("host", doc("Sidecar", "spec: {egress: [{hosts: [^a.default.svc.cluster.local]}]}\n")),
    ("host", doc("Mesh", "spec: {domain: ^'*.local'}\n")),
    ("address", doc("WorkloadEntry", "spec: {address: ^a_b}\n")),
    ("address", doc("WorkloadEntry", "spec: {address: ^'fe80::1%eth0'}\n")),
    ("address", doc("Gateway", "spec: {selector: {role: edge}, servers: [{bind: ^localhost, port: {number: 1, name: a, protocol: HTTP}, hosts: ['*']}]}\n")),
    ("address", doc("Sidecar", "spec: {egress: [{port: {number: 1}, bind: ^unix:///x, hosts: ['*/*']}]}\n")),
    ("address", doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 1}, defaultEndpoint: ^10.0.0.1:80}]}\n")),
    ("address", doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 1}, defaultEndpoint: ^'127.0.0.1:0'}]}\n")),
    ("address", doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 1}, defaultEndpoint: ^unix://x}]}\n")),
    ("address", doc("Proxy", PROXY.replace("http://127.0.0.1:1", "^127.0.0.1:1"))),
    ("address", doc("Proxy", PROXY.replace("http://127.0.0.1:1", "^http://127.0.0.1:1/stats"))),
    ("address", doc("Proxy", PROXY.replace("http://127.0.0.1:1", "^unix://admin.sock"))),
    ("address", doc("Proxy", PROXY.replace("http://127.0.0.1:1", f"^unix:///{'a' * 107}"))),
    ("address", doc("Sidecar", f"spec: {{workloadSelector: {{labels: {{app: a}}}}, ingress: [{{port: {{number: 1}}, defaultEndpoint: ^unix:///{'a' * 107}}}]}}\n")),
    ("regex", vs("    match: [{uri: {regex: ^'/a(?=b)'}}]\n")),
    ("regex", vs("    match: [{headers: {x: {regex: ^'(a)\\1'}}}]\n")),
    ("regex", vs(f"    match: [{{uri: {{regex: ^{'a' * 1025}}}}}]\n")),
    ("regex", vs(f"    match: [{{uri: {{regex: ^'{'([a-zäöü]{1,90}){1,9}' * 9}'}}}}]\n")),
    ("header-name", vs("    match: [{headers: {^':method': {exact: GET}}}]\n")),
    ("retry-on", vs("    retries: {attempts: 1, retryOn: ^'connect-failure, refused-stream'}\n")),
    ("one-of", vs("    match: [{^uri: {exact: /a, prefix: /b}}]\n")),
    ("one-of", vs("    match: [{^uri: {}}]\n")),
    ("one-of", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: STATIC, ports: [{name: a, number: 1}], workloadSelector: {labels: {app: a}}, ^endpoints: [{address: 1.1.1.1}]}\n")),
    ("one-of", doc("Sidecar", "spec: {egress: [{^bind: 127.0.0.1, hosts: ['*/*']}]}\n")),
    ("one-of", doc("Proxy", "^" + PROXY.replace("  workload: a-v1\n", ""))),
    ("one-of", doc("Proxy", PROXY.replace("a-v1", "a-v1\n  ^labels: {a: b}"))),
    ("one-of", doc("Proxy", PROXY.replace("push: {files: {directory: /d}}", "^push: {}"))),
    ("one-of", doc("Proxy", PROXY.replace("push: {files", "^push: {ads: {}, files"))),
    ("one-of", doc("Proxy", "spec: {workload: a-v1, ^admin: 'http://127.0.0.1:1', push: {ads: {client: grpc}}}\n")),
    ("missing-field", doc("Proxy", "^spec: {workload: a-v1, push: {files: {directory: /d}}}\n")),
    ("enum", doc("Proxy", "spec: {workload: a-v1, push: {ads: {client: ^haproxy}}}\n")),
    ("enum", doc("Mesh", "spec: {onReject: ^explode}\n")),
    ("address", doc("Mesh", "spec: {adminAllow: [10.0.0.0/8, ^10.0.0.1/8]}\n")),
    ("duplicate-value", doc("VirtualService", "spec: {hosts: [a, ^a], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("duplicate-value", doc("VirtualService", "spec: {hosts: ['*.default.svc.cluster.local', ^a.default.svc.cluster.local], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("duplicate-value", doc("DestinationRule", "spec: {host: two, subsets: [{name: v1}, {name: ^v1}]}\n")),
    ("duplicate-value", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: STATIC, ports: [{name: a, number: 1}, {name: b, number: ^1}], endpoints: [{address: 1.1.1.1}]}\n")),
    ("duplicate-value", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: STATIC, ports: [{name: a, number: 1}, {name: ^a, number: 2}], endpoints: [{address: 1.1.1.1}]}\n")),
    ("no-effect", doc("Sidecar", "spec: {egress: [{hosts: ['*/*', ^'*/*']}]}\n")),
    ("label", doc("WorkloadEntry", "spec: {address: 1.1.1.1, labels: {app: ^'*'}}\n")),
    ("name", doc("WorkloadEntry", "spec: {address: 1.1.1.1, ports: {'@': ^80}}\n")),
    ("name", doc("DestinationRule", "spec: {host: two, subsets: [{name: ^v_1}]}\n")),
    ("name", doc("VirtualService", "spec: {hosts: [a], gateways: [mesh, ^a/b/c], http: [{route: [{destination: {host: a}}]}]}\n")),
    # routes
    ("weight-negative", split("    - {destination: {host: a}, weight: ^-1}\n")),
    ("weight-negative", split("    - {destination: {host: a}, weight: 101}\n    - {destination: {host: two, port: {number: 80}}, weight: ^-1}\n")),
    ("weights-limit", split("    - {destination: {host: a}, weight: 4294967295}\n    - {destination: {host: two, port: {number: 80}}, weight: 1}\n").replace("- route", "- ^route")),
    ("weights-zero", split("    - {destination: {host: a}, weight: 0}\n    - {destination: {host: two, port: {number: 80}}}\n").replace("- route", "- ^route")),
    ("weights-sum", split("    - {destination: {host: a}, weight: 90}\n    - {destination: {host: two, port: {number: 80}}, weight: 5}\n").replace("- route", "- ^route")),
    ("unreachable-route", vs("  - ^route: [{destination: {host: a}}]\n")),
    ("unreachable-route", vs("    match: [{uri: {prefix: /}}]\n  - ^match: [{uri: {prefix: /b}}]\n    route: [{destination: {host: a}}]\n")),
    ("unreachable-route", vs("    match: [{uri: {exact: /b}}, ^{name: x, uri: {exact: /b}}]\n")),
    ("unreachable-route", vs("    match: [{}, ^{uri: {exact: /b}}]\n")),
    ("duplicate-route-name", vs("    name: x\n    match: [{uri: {prefix: /b}}]\n  - name: ^x\n    route: [{destination: {host: a}}]\n")),
    ("duplicate-destination", split("    - {destination: {host: a}, weight: 50}\n    - {^destination: {host: a}, weight: 50}\n")),
    # other documents
    ("ref-host", split("    - destination: {host: ^b}\n")),
    ("ref-host", doc("VirtualService", "spec: {hosts: [^b], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("ref-host", doc("DestinationRule", "spec: {host: ^b.example.com}\n")),
    ("ref-host", doc("ServiceEntry", "spec: {hosts: ['*.w.com'], resolution: STATIC, ports: [{name: a, number: 81}], endpoints: [{address: 1.1.1.1}]}\n") + "---\n" + doc("VirtualService", "spec: {hosts: [^b.w.com], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("ref-subset", split("    - destination: {host: a, subset: ^v9}\n")),
    ("ref-subset", split("    - destination: {host: two, port: {number: 80}, subset: ^v1}\n")),
    ("ref-host", doc("ServiceEntry", "spec: {hosts: ['*.w.com'], resolution: STATIC, ports: [{name: a, number: 80}], endpoints: [{address: 1.1.1.1}]}\n") + "---\n" + split("    - destination: {host: ^b.w.com}\n")),
    ("ref-subset", doc("VirtualService", "spec: {hosts: [x.example.com], gateways: [default/edge], http: [{route: [{destination: {host: a.default.svc.cluster.local, subset: ^v7}}]}]}\n").replace("name: case", "name: case, namespace: far")
        + "---\n" + doc("DestinationRule", "spec: {host: a.default.svc.cluster.local, subsets: [{name: v7}]}\n").replace("name: case", "name: case, namespace: far")),
    ("ref-port", split("    - destination: {host: a, port: {number: ^81}}\n")),
    ("ref-port", doc("VirtualService", "spec: {hosts: [x.example.com], gateways: [edge], http: [{route: [{^destination: {host: two}}]}]}\n")),
    ("ref-host", doc("Sidecar", "spec: {egress: [{hosts: [^./b.default.svc.cluster.local]}]}\n")),
    ("ref-host", doc("Sidecar", "spec: {egress: [{hosts: [^other/a.default.svc.cluster.local]}]}\n")),
    ("ref-port", doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, ingress: [{port: {number: ^81}, defaultEndpoint: 127.0.0.1:2}]}\n")),
    ("ref-port", doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, egress: [{port: {number: ^8080}, hosts: ['*/*']}, {port: {number: 81}, hosts: ['./*']}, {port: {number: 8081, protocol: HTTP_PROXY}, hosts: ['*/*']}]}\n")),
    ("ref-duplicate-host", doc("VirtualService", "spec: {hosts: [a, ^a.default.svc.cluster.local], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("ref-gateway", doc("VirtualService", "spec: {hosts: [x.example.com], gateways: [^other], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("ref-gateway-host", doc("VirtualService", "spec: {hosts: [^x.example.org], gateways: [edge], http: [{route: [{destination: {host: a}}]}]}\n")),
    ("ref-workload", doc("Proxy", PROXY.replace("a-v1", "^a-v2"))),
    ("ref-route", doc("Proxy", "spec: {workload: a-v1, admin: 'http://127.0.0.1:1', push: {runtime: {routes: [{virtualService: ^b, prefix: p, clusters: {v1: c}}]}}}\n")),
    ("ref-route", vs("") + "---\n" + doc("Proxy", "spec: {workload: a-v1, admin: 'http://127.0.0.1:1', push: {runtime: {routes: [{virtualService: case, route: ^r, prefix: p, clusters: {v1: c}}]}}}\n")),
    ("ref-route", vs("") + "---\n" + doc("Proxy", "spec: {workload: a-v1, admin: 'http://127.0.0.1:1', push: {runtime: {routes: [{virtualService: case, prefix: p, clusters: {^v1: c}}]}}}\n")),
    ("ref-route", vs("    match: [{uri: {prefix: /b}}]\n  - route: [{destination: {host: a}}]\n") + "---\n" + doc("Proxy", "spec: {workload: a-v1, admin: 'http://127.0.0.1:1', push: {runtime: {routes: [^{virtualService: case, prefix: p, clusters: {v1: c}}]}}}\n")),
    ("ref-endpoints", doc("DestinationRule", "spec: {host: two, subsets: [{name: v1, labels: ^{version: v1}}]}\n")),
    ("ref-selector", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: STATIC, ports: [{name: a, number: 1}], workloadSelector: ^{labels: {app: b}}}\n")),
    ("ref-selector", doc("Sidecar", "spec: {workloadSelector: ^{labels: {app: b}}, egress: [{hosts: ['*/*']}]}\n")),
    ("ref-selector", doc("Gateway", "spec: {selector: ^{role: other}, servers: [{port: {number: 1, name: a, protocol: HTTP}, hosts: ['*']}]}\n")),
    ("ref-port-name", doc("WorkloadEntry", "spec: {address: 1.1.1.1, labels: {app: a}, ports: {^htp: 80}}\n")),
]  # fmt: skip

CASES += [
    *ROUTES,
    *TELEMETRY,
    *TRAFFIC,
    *SERVICES,
    *EDGES,
    *REGISTRIES,
    *FREEZES,
    *RATE_LIMITS,
    *HEALTH_CHECKS,
    *ROLLOUTS,
    *((code, fault) for code, fault, _ in REFERENCES),
]

PAIRS: list[tuple[str, str]] = [
    *LIMITS_IN_PAIRS,
    *CHECKS_IN_PAIRS,
    *ROLLOUTS_IN_PAIRS,
    ("ref-duplicate", doc("Sidecar", "spec: {egress: [{hosts: ['*/*']}]}\n").replace("case", "^case") + "---\n" + doc("Sidecar", "spec: {workloadSelector: {labels: {app: a}}, egress: [{hosts: ['*/*']}]}\n").replace("case", "^case")),
    ("ref-duplicate", doc("Mesh", "spec: {}\n").replace("case", "^case") + "---\n" + doc("Mesh", "spec: {}\n").replace("case", "^mesh")),
    ("conflicting-hosts", vs("").replace("- route", "- ^route") + "---\n" + vs("").replace("- route", "- ^route").replace("[a]", "[a.default.svc.cluster.local]", 1).replace("case", "other")),
    ("ref-duplicate-host", doc("ServiceEntry", "spec: {hosts: [^b], resolution: STATIC, ports: [{name: a, number: 1}], endpoints: [{address: 1.1.1.1}]}\n") + "---\n" + doc("ServiceEntry", "spec: {hosts: [^b.default.svc.cluster.local], resolution: STATIC, ports: [{name: a, number: 1}], endpoints: [{address: 1.1.1.1}]}\n").replace("case", "b")),
    ("ref-duplicate-sidecar", doc("Sidecar", "^spec: {egress: [{hosts: ['*/*']}]}\n") + "---\n" + doc("Sidecar", "^spec: {egress: [{hosts: ['./*']}]}\n").replace("case", "b")),
    ("ref-duplicate-proxy", doc("Proxy", PROXY.replace("/d", "^/d")) + "---\n" + doc("Proxy", PROXY.replace("/d", "^/d/").replace(":1\n", ":2\n")).replace("case", "b")),
    ("ref-duplicate-proxy", doc("Proxy", PROXY.replace("http", "^http")) + "---\n" + doc("Proxy", PROXY.replace("http", "^http").replace("/d", "/e")).replace("case", "b")),
]  # fmt: skip
