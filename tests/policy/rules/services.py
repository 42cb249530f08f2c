"""ServiceEntries and WorkloadEntries."""

from __future__ import annotations

from tests.policy.rules.documents import doc, service, workload

CASES: list[tuple[str, str]] = [
    ("no-effect", doc("ServiceEntry", "spec: {^hosts: [b.example.com]}\n")),
    ("host", doc("ServiceEntry", "spec: {hosts: [^'*a.example.com'], ports: [{name: a, number: 443, protocol: TLS}]}\n")),
    ("host", doc("ServiceEntry", "spec: {hosts: [^1.2.3.4], ports: [{name: a, number: 80}]}\n")),
    ("host", doc("ServiceEntry", "spec: {hosts: [^foo*], ports: [{name: a, number: 80}]}\n")),
    ("value", doc("ServiceEntry", "spec: {hosts: [a.b, b.c], resolution: DNS, ports: [{name: h, number: 80}, ^{name: t, number: 81, protocol: TCP}]}\n")),
    ("address", service("addresses: [1.2.3.4, ^1.2.3.4/99]")),
    ("address", service("addresses: [^host]")),
    ("duplicate-value", service("addresses: [1.2.3.4, ^1.2.3.4]")),
    ("value", service("resolution: DNS, addresses: [^1.2.3.0/24]")),
    ("unsupported-value", doc("ServiceEntry", "spec: {hosts: [b.c], ports: [{name: a, number: 53, protocol: ^UDP}]}\n")),
    ("unsupported-value", doc("ServiceEntry", "spec: {hosts: [b.c], ports: [{name: a, number: 80, protocol: ^http_proxy}]}\n")),
    ("value", doc("ServiceEntry", "spec: {hosts: [b.c], ports: [{name: a, number: ^0}]}\n")),
    ("value", doc("ServiceEntry", "spec: {hosts: [b.c], ports: [{name: a, number: 1, targetPort: ^99999}]}\n")),
    ("no-effect", doc("ServiceEntry", "spec: {hosts: [b.c], ports: [{name: a, number: 1, ^targetPort: 2}]}\n")),
    ("name", doc("ServiceEntry", "spec: {hosts: [b.c], ports: [{name: ^a_b, number: 1}]}\n")),
    # where endpoints come from
    ("one-of", service("^endpoints: [{address: 1.1.1.1}]")),
    ("one-of", service("resolution: NONE, ^endpoints: []")),
    ("one-of", service("resolution: STATIC, workloadSelector: {labels: {app: a}}, ^endpoints: []")),
    ("no-endpoints", service("resolution: ^STATIC")),
    ("no-effect", service("resolution: NONE, ^workloadSelector: {labels: {app: a}}")),
    ("one-of", doc("ServiceEntry", "spec: {hosts: ['*.b.c'], resolution: DYNAMIC_DNS, ports: [{name: a, number: 1}], ^workloadSelector: {labels: {app: a}}}\n")),
    ("label", service("resolution: STATIC, workloadSelector: {labels: {app: ^'*'}}")),
    ("address", service("resolution: STATIC, endpoints: [{address: ^a.b}]")),
    ("address", service("resolution: DNS, endpoints: [{address: ^unix:///a}]")),
    ("missing-field", service("resolution: DNS, endpoints: [^{labels: {a: b}}]")),
    ("value", service("resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.b}, ^{address: c.d}]")),
    ("value", doc("ServiceEntry", "spec: {hosts: [b.c], resolution: STATIC, ports: [{name: a, number: 1}, {name: b, number: 2}], endpoints: [{address: ^unix:///a}]}\n")),
    ("host", doc("ServiceEntry", "spec: {hosts: [^'*.b.c'], resolution: DNS, ports: [{name: a, number: 1}]}\n")),
    ("host", doc("ServiceEntry", "spec: {hosts: [^b.c], resolution: DYNAMIC_DNS, ports: [{name: a, number: 1}]}\n")),
    ("one-of", doc("ServiceEntry", "spec: {hosts: ['*.b.c'], resolution: DYNAMIC_DNS, ports: [{name: a, number: 1}], ^endpoints: [{address: a.b}]}\n")),
    ("value", doc("ServiceEntry", "spec: {hosts: ['*.b.c'], resolution: DYNAMIC_DNS, ports: [{name: a, number: 1, protocol: ^TCP}]}\n")),
    ("one-of", service("exportTo: [a, ^'~']")),
    ("value", service(f"addresses: ^[{', '.join(f'10.0.{n // 256}.{n % 256}' for n in range(257))}]")),
    # instances
    ("address", workload("address: ^unix:///dir/")),
    ("address", workload("address: ^unix://relative")),
    ("address", workload("address: ^unix://@")),
    ("address", workload(f"address: ^unix:///{'a' * 107}")),
    ("one-of", workload("address: unix://@foo, ^ports: {http: 80}")),
    ("value", workload("address: 1.1.1.1, ports: {http: ^99999}")),
    ("value", workload("address: 1.1.1.1, locality: ^a/b/c/d")),
    ("value", workload("address: 1.1.1.1, locality: ^a//c")),
    ("value", workload("address: 1.1.1.1, weight: ^-1")),
    ("name", workload("address: 1.1.1.1, serviceAccount: ^a_b")),
]  # fmt: skip
