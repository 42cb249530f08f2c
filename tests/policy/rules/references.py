"""What documents say about each other: each rule with a fault that it finds, and a healthy neighbour of that fault."""

from __future__ import annotations

from tests.policy.rules.documents import answer, connections, doc, match, rule

MTLS = "certificates: {certificateChain: /c, privateKey: /k, rootCertificate: /r}"
NODE = "admin: 'http://127.0.0.1:1', push: {files: {directory: /d}}"


def named(text: str, name: str, namespace: str = "default") -> str:
    """The same document under another name."""
    return text.replace("name: case}", f"name: {name}, namespace: {namespace}}}")


def both(*texts: str) -> str:
    """Several documents in one file."""
    return "---\n".join(texts)


def edge(fields: str) -> str:
    """A VirtualService at the Gateway `edge`, with these fields."""
    return doc("VirtualService", f"spec: {{hosts: [x.example.com], gateways: [default/edge], {fields}}}\n")


def database(fields: str = "") -> str:
    """A service that speaks TCP, with these fields."""
    ports = "ports: [{name: db, number: 3306, protocol: TCP}], endpoints: [{address: 10.0.0.9}]"
    spec = f"hosts: [db.example.com], addresses: [10.2.0.1], resolution: STATIC, {ports}{fields}"
    return named(doc("ServiceEntry", f"spec: {{{spec}}}\n"), "db")


def far(fields: str) -> str:
    """A service of namespace `far`, with these fields."""
    spec = f"hosts: [f.example.com], resolution: STATIC, ports: [{{name: http, number: 80}}], endpoints: [{{address: 10.0.0.8}}], {fields}"
    return named(doc("ServiceEntry", f"spec: {{{spec}}}\n"), "f", "far")


def delegate(fields: str = "") -> str:
    """A VirtualService that others delegate to, with these fields."""
    return named(doc("VirtualService", f"spec: {{{fields}http: [{{redirect: {{uri: /}}}}]}}\n"), "leaf", "far")


def destination_rule(fields: str, name: str = "case") -> str:
    """A DestinationRule for `a` with these fields, in a namespace that nobody calls it from."""
    return named(doc("DestinationRule", f"spec: {{host: two, {fields}}}\n"), name)


def ending(fields: str) -> str:
    """A Gateway that ends TLS with these settings."""
    port = "port: {number: 443, name: a, protocol: HTTPS}"
    return doc(
        "Gateway", f"spec: {{selector: {{role: edge}}, servers: [{{{port}, hosts: ['*'], tls: {{{fields}}}}}]}}\n"
    )


def selecting(labels: str, name: str = "case") -> str:
    """A Sidecar of the workloads with these labels."""
    return named(
        doc("Sidecar", f"spec: {{workloadSelector: {{labels: {{{labels}}}}}, egress: [{{hosts: ['*/*']}}]}}\n"), name
    )


ROOT = "http: [{match: [{uri: {prefix: /b}}], delegate: {name: leaf, namespace: far}}]"
PLAIN = answer("route: [{destination: {host: secure}}]")
ORIGINATE = named(doc("DestinationRule", "spec: {host: secure, trafficPolicy: {tls: {mode: SIMPLE}}}\n"), "originate")
TO_FAR = answer("route: [{destination: {host: f.example.com}}]")
SPLIT = "http: [{route: [{destination: {host: a}}]}]"

RULES: list[tuple[str, str, str]] = [
    # destinations of every kind
    ("ref-host", rule("mirror: {host: ^b}"), rule("mirror: {host: two, port: {number: 80}}")),
    ("ref-host", rule("mirrors: [{destination: {host: ^b}}]"), rule("mirrors: [{destination: {host: a}}]")),
    ("ref-subset", rule("mirror: {host: a, subset: ^v9}"), rule("mirror: {host: a, subset: v1}")),
    ("ref-port", rule("mirrors: [{destination: {host: a, port: {number: ^81}}}]"), rule("mirrors: [{destination: {host: a, port: {number: 80}}}]")),
    ("ref-host", connections("tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: ^b}}]}]"), connections("tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: secure}}]}]")),
    ("ref-subset", connections("tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: secure, subset: ^v1}}]}]"), connections("tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: secure}, weight: 1}]}]")),
    ("ref-host", connections("tcp: [{route: [{destination: {host: ^b}}]}]"), connections("tcp: [{route: [{destination: {host: secure}}]}]")),
    ("ref-port", connections("tcp: [{route: [{destination: {host: secure, port: {number: ^444}}}]}]"), connections("tcp: [{route: [{destination: {host: secure, port: {number: 443}}}]}]")),
    ("ref-port", connections("tcp: [{route: [{^destination: {host: two}}]}]"), connections("tcp: [{route: [{destination: {host: two, port: {number: 81}}}]}]")),
    ("ref-host", doc("Sidecar", "spec: {outboundTrafficPolicy: {egressProxy: {host: ^b, port: {number: 80}}}}\n"), doc("Sidecar", "spec: {outboundTrafficPolicy: {egressProxy: {host: a, port: {number: 80}}}}\n")),
    ("ref-subset", doc("Sidecar", "spec: {outboundTrafficPolicy: {egressProxy: {host: a, subset: ^v9, port: {number: 80}}}}\n"), doc("Sidecar", "spec: {outboundTrafficPolicy: {egressProxy: {host: a, subset: v1, port: {number: 80}}}}\n")),
    ("ref-port", doc("Sidecar", "spec: {outboundTrafficPolicy: {egressProxy: {host: a, port: {number: ^81}}}}\n"), doc("Sidecar", "spec: {outboundTrafficPolicy: {egressProxy: {host: two, port: {number: 81}}}}\n")),
    ("ref-host", both(far("exportTo: [.]"), answer("route: [{destination: {host: ^f.example.com}}]")), both(far("exportTo: [., default]"), TO_FAR)),
    ("ref-host", both(far("exportTo: ['~']"), answer("route: [{destination: {host: ^f.example.com}}]")), both(far("exportTo: ['*']"), TO_FAR)),
    ("ref-protocol", answer("route: [{destination: {host: ^secure}}]"), both(PLAIN, ORIGINATE)),
    ("ref-protocol", both(ORIGINATE.replace("SIMPLE", "DISABLE"), answer("route: [{destination: {host: ^secure}}]")), both(ORIGINATE.replace("host: secure", "host: '*.cluster.local'"), PLAIN)),
    ("ref-protocol", both(database(), answer("route: [{destination: {host: ^db.example.com}}]")), both(database(), connections("tcp: [{route: [{destination: {host: db.example.com}}]}]"))),
    ("ref-protocol", connections("tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: ^a}}]}]"), both(database(), connections("tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: db.example.com}}]}]"))),
    # delegates
    ("ref-delegate", edge("http: [{match: [{uri: {prefix: /b}}], delegate: ^{name: leaf, namespace: far}}]"), both(delegate(), edge(ROOT))),
    ("ref-delegate", both(delegate("hosts: [y.example.com], gateways: [default/edge], "), edge("http: [{match: [{uri: {prefix: /b}}], delegate: ^{name: leaf, namespace: far}}]")), both(delegate(), edge(ROOT), named(edge(ROOT), "again"))),
    ("ref-delegate", both(delegate("exportTo: [.], "), edge("http: [{match: [{uri: {prefix: /b}}], delegate: ^{name: leaf, namespace: far}}]")), both(delegate("exportTo: [., default], "), edge(ROOT))),
    ("ref-delegate", delegate().replace("leaf", "^leaf"), both(delegate(), edge(ROOT))),
    # gateways and ports that rules are for
    ("ref-gateway", edge("http: [{match: [{gateways: [^mesh]}], redirect: {uri: /}}]"), edge("http: [{match: [{gateways: [edge]}], redirect: {uri: /}}]")),
    ("ref-gateway", rule("match: [{gateways: [^edge]}]"), rule("match: [{gateways: [mesh]}]")),
    ("ref-gateway", connections("tcp: [{match: [{gateways: [^edge]}], route: [{destination: {host: secure}}]}]"), connections("tcp: [{match: [{gateways: [mesh]}], route: [{destination: {host: secure}}]}]")),
    ("ref-rules", edge("^tls: [{match: [{sniHosts: [x.example.com]}], route: [{destination: {host: secure}}]}]"), edge(SPLIT)),
    ("ref-rules", edge(f"{SPLIT}, ^tcp: [{{route: [{{destination: {{host: secure}}}}]}}]"), edge(SPLIT)),
    ("ref-rules", doc("VirtualService", f"spec: {{hosts: [secure], ^{SPLIT}}}\n"), doc("VirtualService", f"spec: {{hosts: [two], {SPLIT.replace('host: a', 'host: a, port: {number: 80}')}}}\n")),
    ("ref-port", match("port: ^81"), match("port: 80")),
    ("ref-port", edge("http: [{match: [{port: ^80}], redirect: {uri: /}}]"), edge("http: [{match: [{port: 8080}], redirect: {uri: /}}]")),
    ("ref-visibility", named(edge(f"exportTo: [.], {SPLIT}"), "x", "far").replace("host: a", "host: two.default.svc.cluster.local, port: {number: 80}").replace("[default/edge]", "[^default/edge]"), named(edge(f"exportTo: [., default], {SPLIT}"), "x", "far").replace("host: a", "host: two.default.svc.cluster.local, port: {number: 80}")),
    # callers
    ("ref-selector", match("sourceLabels: ^{app: b}"), match("sourceLabels: {app: a, version: v1}")),
    ("ref-selector", match("sourceLabels: ^{app: a, role: edge}"), match("sourceLabels: {role: edge}")),
    ("ref-namespace", match("sourceNamespace: ^elsewhere"), match("sourceNamespace: default")),
    ("ref-namespace", connections("tcp: [{match: [{sourceNamespace: ^elsewhere}], route: [{destination: {host: secure}}]}]"), connections("tcp: [{match: [{sourceNamespace: default}], route: [{destination: {host: secure}}]}]")),
    ("ref-namespace", both(database(", exportTo: [default, ^elsewhere]")), both(database(", exportTo: [default]"))),
    ("ref-namespace", destination_rule("exportTo: [., ^defualt]"), destination_rule("exportTo: [.]")),
    # DestinationRules
    ("ref-port", destination_rule("trafficPolicy: {portLevelSettings: [{port: {number: ^82}, tls: {mode: DISABLE}}]}"), destination_rule("trafficPolicy: {portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]}")),
    ("ref-port", destination_rule("subsets: [{name: all, trafficPolicy: {portLevelSettings: [{port: {number: ^82}, tls: {mode: DISABLE}}]}}]"), destination_rule("subsets: [{name: all, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}]")),
    ("ref-selector", destination_rule("workloadSelector: ^{matchLabels: {app: b}}"), destination_rule("workloadSelector: {matchLabels: {app: a}}")),
    ("ref-duplicate-host", both(destination_rule("subsets: [{name: all}]"), destination_rule("subsets: [{name: ^all}]", "later")), both(destination_rule("subsets: [{name: all}]"), destination_rule("subsets: [{name: others}]", "later"))),
    ("ref-duplicate-host", both(destination_rule("trafficPolicy: {tls: {mode: DISABLE}}"), destination_rule("^trafficPolicy: {tls: {mode: SIMPLE}}", "later")), both(destination_rule("trafficPolicy: {tls: {mode: DISABLE}}"), destination_rule("subsets: [{name: all}]", "later"))),
    ("ref-duplicate-host", both(destination_rule("trafficPolicy: {tls: {mode: DISABLE}}, workloadSelector: {matchLabels: {app: a}}"), destination_rule("^trafficPolicy: {tls: {mode: SIMPLE}}, workloadSelector: {matchLabels: {version: v1}}", "later")), both(destination_rule("trafficPolicy: {tls: {mode: DISABLE}}, workloadSelector: {matchLabels: {app: a}}"), destination_rule("trafficPolicy: {tls: {mode: SIMPLE}}", "later"))),
    # ServiceEntries
    ("ref-duplicate-host", doc("ServiceEntry", "spec: {hosts: [b, ^b.default.svc.cluster.local], resolution: STATIC, ports: [{name: a, number: 80}], endpoints: [{address: 1.1.1.1}]}\n"), doc("ServiceEntry", "spec: {hosts: [b, b.other.svc.cluster.local], resolution: STATIC, ports: [{name: a, number: 80}], endpoints: [{address: 1.1.1.1}]}\n")),
    ("ref-duplicate-address", both(database(), database().replace("name: db, name", "name: later, name").replace("db.example.com", "other.example.com").replace("[10.2.0.1]", "[^10.2.0.1]")), both(database(), database().replace("name: db, name", "name: later, name").replace("db.example.com", "other.example.com").replace("3306", "3307"))),
    # Sidecars and Proxies
    ("ref-namespace", doc("Sidecar", "spec: {egress: [{hosts: [./*, ^elsewhere/*]}]}\n"), doc("Sidecar", "spec: {egress: [{hosts: [./*, '~/*']}]}\n")),
    ("ref-port", doc("Sidecar", "spec: {egress: [{port: {number: ^3307, protocol: TCP}, bind: 127.0.0.1, hosts: ['*/*']}]}\n"), both(database(), doc("Sidecar", "spec: {egress: [{port: {number: 3306, protocol: TCP}, bind: 127.0.0.1, hosts: ['*/*']}]}\n"))),
    ("ref-duplicate-sidecar", both(selecting("app: a"), selecting("version: v1", "later").replace("workloadSelector: {", "workloadSelector: ^{")), both(selecting("app: a"), selecting("version: v2", "x"), named(doc("WorkloadEntry", "spec: {address: 127.0.0.3, labels: {version: v2}}\n"), "w"))),
    ("ref-selector", doc("Proxy", f"spec: {{labels: ^{{role: egde}}, {NODE}}}\n"), doc("Proxy", f"spec: {{labels: {{role: edge}}, {NODE}}}\n")),
    # certificates
    ("ref-certificates", both(doc("Mesh", f"spec: {{{MTLS}}}\n"), ending("mode: SIMPLE, credentialName: ^a")), ending("mode: SIMPLE, credentialName: a")),
    ("ref-certificates", both(doc("Mesh", f"spec: {{{MTLS}}}\n"), destination_rule("trafficPolicy: {tls: {mode: SIMPLE, credentialName: ^a}}")), destination_rule("trafficPolicy: {tls: {mode: SIMPLE, credentialName: a}}")),
    ("ref-certificates", doc("Proxy", "spec: {labels: {role: edge}, admin: ^'https://10.0.0.1:9443', push: {ads: {}}}\n"), doc("Proxy", f"spec: {{labels: {{role: edge}}, admin: 'https://10.0.0.1:9443', push: {{ads: {{}}}}, {MTLS}}}\n")),
    ("ref-certificates", doc("Proxy", "spec: {labels: {role: edge}, admin: ^'https://10.0.0.1:9443', push: {files: {directory: /d}}, certificates: {privateKey: /k}}\n"), both(doc("Mesh", f"spec: {{{MTLS}}}\n"), doc("Proxy", "spec: {labels: {role: edge}, admin: 'https://10.0.0.1:9443', push: {ads: {}}}\n"))),
]  # fmt: skip
"""Code, fault and neighbour; both are added to the small mesh."""

OPEN = "selector: {istio: ingressgateway}"
ROUTED = "name: x, number: 80, protocol: HTTP"

ALONE: list[tuple[str, str, str]] = [
    ("ref-gateway-conflict", both(ending("mode: SIMPLE, credentialName: a"), named(ending("mode: SIMPLE, credentialName: b").replace("hosts: ['*']", "hosts: [^'*']"), "later")), both(ending("mode: SIMPLE, credentialName: a"), named(ending("mode: SIMPLE, credentialName: b").replace("'*'", "b.com"), "later"))),
    ("ref-gateway-conflict", both(ending("mode: SIMPLE, credentialName: a"), named(ending("mode: SIMPLE, credentialName: b").replace("hosts: ['*']", "hosts: [^'*']"), "later")), both(ending("mode: SIMPLE, credentialName: a"), named(ending("mode: SIMPLE, credentialName: b").replace("edge", "other"), "later"))),
    ("ref-gateway-conflict", both(doc("Gateway", f"spec: {{{OPEN}, servers: [{{port: {{{ROUTED}}}, hosts: ['*']}}]}}\n"), named(doc("Gateway", f"spec: {{{OPEN}, servers: [{{port: ^{{name: x, number: 80, protocol: TCP}}, hosts: ['*']}}]}}\n"), "later")), both(doc("Gateway", f"spec: {{{OPEN}, servers: [{{port: {{{ROUTED}}}, hosts: ['*']}}]}}\n"), named(doc("Gateway", f"spec: {{{OPEN}, servers: [{{port: {{{ROUTED}}}, hosts: ['*']}}]}}\n"), "later"))),
    ("ref-certificates", ending("mode: ISTIO_MUTUAL").replace("tls: {", "tls: ^{"), both(doc("Mesh", f"spec: {{{MTLS}}}\n"), ending("mode: ISTIO_MUTUAL"))),
    ("ref-certificates", both(database(), doc("DestinationRule", "spec: {host: db.example.com, trafficPolicy: {tls: ^{mode: ISTIO_MUTUAL}}}\n")), both(database(), doc("Mesh", f"spec: {{{MTLS}}}\n"), doc("DestinationRule", "spec: {host: db.example.com, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}\n"))),
]  # fmt: skip
"""The same, in a folder without any proxy: what `compile` says of proxies is said here as far as it can be."""
