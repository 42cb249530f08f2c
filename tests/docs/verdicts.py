"""Where a verdict differs from Istio's: what is refused here that Istio takes, and why. The table behind docs/istio-api.md.

Every document of Istio's own published verdicts (valid and invalid DestinationRules, ServiceEntries and WorkloadEntries) gets
Istio's verdict, apart from the two WorkloadEntries with `network`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One difference.

    Attributes:
        kind: Of which documents; "" for all of the six.
        what: What is refused, as users write it.
        why: What Istio does with it, or what Envoy would.
        code: Of the error.
        example: A document that Istio takes and this refuses, for the test that holds this table to its word.
    """

    kind: str
    what: str
    why: str
    code: str
    example: str


def _document(kind: str, spec: str) -> str:
    return f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: case}}\nspec: {{{spec}}}\n"


def _rule(fields: str) -> str:
    return _document("VirtualService", f"hosts: [a], http: [{{{fields}}}]")


def _routed(fields: str) -> str:
    return _rule(f"route: [{{destination: {{host: a}}}}], {fields}")


def _policy(fields: str) -> str:
    return _document("DestinationRule", f"host: a, trafficPolicy: {{{fields}}}")


def _tls(fields: str) -> str:
    return _document(
        "Gateway", f"servers: [{{port: {{number: 443, name: a, protocol: HTTPS}}, hosts: [a.b], tls: {{{fields}}}}}]"
    )


_HTTP = "http: [{route: [{destination: {host: a}}]}]"

STRICTER: tuple[Verdict, ...] = (
    Verdict("", "host names with capitals", "names are compared as they are written in Istio, so `Reviews` is nobody's", "host",
            _document("VirtualService", f"hosts: [A], {_HTTP}")),
    Verdict("", "labels that Kubernetes would refuse in selectors", "they select nothing", "label",
            _document("Sidecar", "workloadSelector: {labels: {app: 'a b'}}, egress: [{hosts: ['*/*']}]")),
    Verdict("", "files on a proxy's host by relative paths", "they depend on where that Envoy was started", "value",
            _policy("tls: {mode: SIMPLE, caCertificates: ca.pem}")),
    Verdict("", "`credentialName`s that are no names", "here it is the name of a folder; `a/b` would leave it", "name",
            _tls("mode: SIMPLE, credentialName: a/b")),
    Verdict("", "listening on Unix sockets (`bind: unix://...`)", "it is not carried out", "address",
            _document("Sidecar", "egress: [{port: {number: 1}, bind: 'unix:///a', hosts: ['*/*']}]")),
    Verdict("", "protocol `UDP`", "Istio takes such ports and does nothing with them", "unsupported-value",
            _document("ServiceEntry", "hosts: [a.b], ports: [{number: 53, name: a, protocol: UDP}]")),
    Verdict("VirtualService", "a destination or mirror with a wildcard host", "no cluster has such a host", "host",
            _rule("route: [{destination: {host: '*.a.b'}}]")),
    Verdict("VirtualService", "`uri`, `method`, `authority` or `scheme` without a condition, or with an empty one",
            "Istio reads it as anything, or as what never matches: a slip either way", "one-of", _routed("match: [{uri: {}}]")),
    Verdict("VirtualService", "matching `@request.auth.claims`", "there is no RequestAuthentication", "unsupported-field",
            _document("VirtualService",
                      "hosts: [a.b], gateways: [edge], http: [{match: [{headers: {'@request.auth.claims.a': {exact: b}}}],"
                      " route: [{destination: {host: a}}]}]")),
    Verdict("VirtualService", "Gateways by host name (`edge.default.svc.cluster.local`)",
            "Istio's oldest form, which it warns of; write `default/edge`", "name",
            _document("VirtualService", f"hosts: [a.b], gateways: [edge.default.svc.cluster.local], {_HTTP}")),
    Verdict("VirtualService", "`delegate` beside `directResponse`, or without a name", "Istio drops one, or the rule", "one-of",
            _rule("delegate: {name: b}, directResponse: {status: 200}")),
    Verdict("VirtualService", "redirects other than 301, 302, 303, 307 and 308", "Istio leaves the route without an action",
            "value", _rule("redirect: {uri: /a, redirectCode: 305}")),
    Verdict("VirtualService", "status 600 of a direct response or an abort", "Envoy refuses all routes beside it", "value",
            _rule("directResponse: {status: 600}")),
    Verdict("VirtualService", "bodies that are not base64 in `bytes`", "there are no bytes to send", "value",
            _rule("directResponse: {status: 200, body: {bytes: a}}")),
    Verdict("VirtualService", "rewrites to a group that the expression has not", "Envoy leaves the path as it is", "regex",
            _routed(r"rewrite: {uriRegexRewrite: {match: '/(a)', rewrite: '/\2'}}")),
    Verdict("VirtualService", "header names that are no HTTP tokens", "servers refuse such requests", "header-name",
            _routed("headers: {request: {set: {'a b': c}}}")),
    Verdict("VirtualService", "header values with commands that Envoy lacks", "Envoy refuses all routes beside it", "header-value",
            _routed("headers: {request: {set: {a: '%WHATEVER%'}}}")),
    Verdict("VirtualService", "shares of mirrors between 0 and 0.0001 percent", "Envoy counts them as 0", "value",
            _routed("mirror: {host: a}, mirrorPercentage: {value: 0.00001}")),
    Verdict("VirtualService", "one `gateways` entry twice", "the second says nothing", "duplicate-value",
            _document("VirtualService", f"hosts: [a.b], gateways: [edge, edge], {_HTTP}")),
    Verdict("VirtualService", "server names with a wildcard inside a label (`*a.b.c`)", "Envoy refuses the listener", "host",
            _document("VirtualService",
                      "hosts: ['*a.b.c'], tls: [{match: [{sniHosts: ['*a.b.c']}], route: [{destination: {host: a}}]}]")),
    Verdict("VirtualService", "hosts like `outbound_.80_._.a.b`", "they are Istio's own, for AUTO_PASSTHROUGH", "host",
            _document("VirtualService",
                      "hosts: [outbound_.80_._.a.b], gateways: [edge],"
                      " tls: [{match: [{sniHosts: [outbound_.80_._.a.b]}], route: [{destination: {host: a}}]}]")),
    Verdict("DestinationRule", "`consistentHash` without a key", "endpoints would be chosen at random", "one-of",
            _policy("loadBalancer: {consistentHash: {}}")),
    Verdict("DestinationRule", "rings of more than 8,388,608 places", "Envoy refuses the cluster", "value",
            _policy("loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}")),
    Verdict("DestinationRule", "`warmup.aggression` below 1", "the API's own documentation says at least 1", "value",
            _policy("loadBalancer: {warmup: {duration: 1s, aggression: 0.5}}")),
    Verdict("DestinationRule", "`distribute` beside `failoverPriority`", "Istio carries out one of them", "one-of",
            _policy("loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 100}}], failoverPriority: [a]}}")),
    Verdict("DestinationRule", "`http2KeepAlive` with only one of its fields", "Envoy refuses the cluster without a timeout",
            "missing-field", _policy("connectionPool: {http: {http2KeepAlive: {interval: 1s}}}")),
    Verdict("DestinationRule", "one port twice in `portLevelSettings`", "Istio takes the first", "duplicate-value",
            _policy("portLevelSettings: [{port: {number: 1}, tls: {}}, {port: {number: 1}, tls: {}}]")),
    Verdict("DestinationRule", "`zoneAwareLbSetting`, `backendUtilization`, `retryBudget.budgetInterval`",
            "what they need is not here; the message says what to use", "unsupported-field",
            _policy("loadBalancer: {zoneAwareLbSetting: {}}")),
    Verdict("ServiceEntry", "one host or address twice", "the second says nothing", "duplicate-value",
            _document("ServiceEntry", "hosts: [a.b, a.b], ports: [{number: 80, name: a}]")),
    Verdict("ServiceEntry", "wildcards inside a label (`*a.b.c`) on HTTPS and TLS ports", "Envoy refuses the listener", "host",
            _document("ServiceEntry", "hosts: ['*a.b.c'], ports: [{number: 443, name: a, protocol: TLS}]")),
    Verdict("ServiceEntry", "protocol `HTTP_PROXY`", "it is a listener's, in a Sidecar", "unsupported-value",
            _document("ServiceEntry", "hosts: [a.b], ports: [{number: 80, name: a, protocol: HTTP_PROXY}]")),
    Verdict("WorkloadEntry", "`network`, and so an entry without an address",
            "endpoints of other networks are reached through a gateway of Istio's", "unsupported-field",
            _document("WorkloadEntry", "network: a")),
    Verdict("WorkloadEntry", "localities of more than three parts, or with an empty one", "Istio counts them into the third",
            "value", _document("WorkloadEntry", "address: 1.1.1.1, locality: a/b/c/d")),
    Verdict("WorkloadEntry", "service accounts that are no names", "no identity has such a name", "name",
            _document("WorkloadEntry", "address: 1.1.1.1, serviceAccount: a_b")),
    Verdict("Gateway", "one `name` for two servers", "the API's own documentation asks for one each", "duplicate-value",
            _document("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.b], name: x},"
                                 " {port: {number: 81, name: b, protocol: HTTP}, hosts: [a.b], name: x}]")),
    Verdict("Gateway", "one host on two TLS servers of one port", "Istio drops the later server", "duplicate-value",
            _document("Gateway", "servers: [{port: {number: 443, name: a, protocol: TLS}, hosts: [a.b], tls: {}},"
                                 " {port: {number: 443, name: b, protocol: TLS}, hosts: [a.b], tls: {}}]")),
    Verdict("Gateway", "any `tls` field but `httpsRedirect` on a server without TLS", "Istio ignores it", "one-of",
            _document("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.b],"
                                 " tls: {cipherSuites: [AES128-SHA]}}]")),
    Verdict("Gateway", "mode `AUTO_PASSTHROUGH`", "it connects clusters of an Istio mesh", "unsupported-value",
            _tls("mode: AUTO_PASSTHROUGH")),
    Verdict("Gateway", "unknown cipher suites", "Istio leaves them out; Envoy refuses the listener", "cipher-suite",
            _tls("mode: SIMPLE, credentialName: a, cipherSuites: [WHAT]")),
    Verdict("Gateway", "`ecdhCurves`", "it is not carried out", "unsupported-field",
            _tls("mode: SIMPLE, credentialName: a, ecdhCurves: [P-256]")),
    Verdict("Gateway", "`minProtocolVersion` above `maxProtocolVersion`", "no client could connect", "value",
            _tls("mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2")),
    Verdict("Gateway", "pins that are no SHA-256", "Envoy refuses the listener", "value",
            _tls("mode: MUTUAL, credentialName: a, verifyCertificateSpki: [YQ==]")),
    Verdict("Gateway", "`caCrl` beside `credentialName`", "Istio's own rule, which its code never reaches", "one-of",
            _tls("mode: MUTUAL, credentialName: a, caCrl: /r")),
    Verdict("Sidecar", "`ingress` without a `workloadSelector`", "listeners belong to certain workloads", "missing-field",
            _document("Sidecar", "ingress: [{port: {number: 80}}]")),
    Verdict("Sidecar", "`bind` without a port", "Istio ignores it", "one-of",
            _document("Sidecar", "egress: [{bind: 127.0.0.1, hosts: ['*/*']}]")),
    Verdict("Sidecar", "`defaultEndpoint: ':8080'`", "write `127.0.0.1:8080`", "address",
            _document("Sidecar", "workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 80}, defaultEndpoint: ':8080'}]")),
    Verdict("Sidecar", "`HTTP_PROXY` on an ingress listener", "it has one application behind it", "value",
            _document("Sidecar",
                      "workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 80, protocol: HTTP_PROXY}}]")),
    Verdict("Sidecar", "ingress `tls` of mode PASSTHROUGH (the default)", "Istio's listener would have no certificate", "value",
            _document("Sidecar", "workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 443, protocol: HTTPS}, tls: {}}]")),
)  # fmt: skip
"""By kind, in the order of its fields."""

WARNED: tuple[tuple[str, str], ...] = (
    (
        "retry-unsafe",
        "retries that may carry a request out twice: Istio repeats a POST that failed by `5xx` or `reset` unasked",
    ),
    ("no-effect", "fields that change nothing where they stand; Istio warns of some of them"),
    ("deprecated-field", "older forms of a field, with the newer one; Istio warns of some of them"),
    (
        "unreachable-route",
        "rules and matches behind one that takes all of their requests, whatever the conditions are made of",
    ),
    ("no-endpoints", "a ServiceEntry of resolution STATIC without endpoints: Istio answers 503 without a word"),
    ("large-body", "direct responses of more than 100 KiB, as in Istio"),
)
"""What is taken, with a warning that Istio has not, or only in part: code, and what."""
