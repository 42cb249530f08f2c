"""Faults of `Mesh.discovery`, and what is like them and none."""

from __future__ import annotations

from tests.policy.rules.documents import doc


def registry(text: str) -> str:
    """A mesh with this one registry, named `a`."""
    return registries(f"{{name: a, {text}}}")


def registries(text: str) -> str:
    """A mesh with these."""
    return doc("Mesh", f"spec: {{discovery: [{text}]}}\n")


def files(text: str) -> str:
    """A registry of files, with these fields."""
    return registry(f"fileSd: {{files: [/t/a.json], {text}}}")


def dns(text: str) -> str:
    """A registry of DNS with one service."""
    return registry(f"dns: {{services: [{{host: db, {text}}}]}}")


def etcd(text: str) -> str:
    """A registry in etcd."""
    return registry(f"etcd: {{{text}}}")


CASES: list[tuple[str, str]] = [
    ("one-of", registries("^{name: a}")),
    ("one-of", registries("^{name: a, consul: {}, kubernetes: {}}")),
    ("missing-field", registries("^{consul: {}}")),
    ("missing-field", registries("{name: ^'', consul: {}}")),
    ("name", registries("{name: ^A.b, consul: {}}")),
    ("duplicate-value", registries("{name: a, consul: {}}, {name: ^a, etcd: {}}")),
    ("duplicate-value", registry("consul: {}, networks: [x, ^x]")),
    ("missing-field", registry("consul: {}, networks: [^'']")),
    ("duration", registry("consul: {}, protection: {flapWindow: ^0s}")),
    ("value", registry("consul: {}, protection: {flaps: ^0}")),
    ("value", registry("consul: {}, protection: {maxLossPercent: ^101}")),
    ("no-effect", registry("consul: {}, protection: {holdFor: 0s, ^maxLossPercent: 50}")),
    ("unknown-field", registry("nacos: {}").replace("nacos", "^nacos").replace("name: a,", "name: a, consul: {},")),
    # targets
    ("missing-field", registry("fileSd: {files: ^[]}")),
    ("value", registry("fileSd: {files: [^a.json]}")),
    ("value", registry("fileSd: {files: [^/t/]}")),
    ("value", registry("fileSd: {files: [^/t/../a.json]}")),
    ("value", registry("fileSd: {files: [^/*/a.json]}")),
    ("duplicate-value", registry("fileSd: {files: [/a.json, ^/a.json]}")),
    ("duration", files("interval: ^0s")),
    ("one-of", files("host: a, ^hostLabel: app")),
    ("missing-field", files("hostLabel: ^''")),
    ("host", files("host: ^'*.example.com'")),
    ("name", files("namespace: ^A")),
    ("name", files("ports: [{name: ^a_b, number: 1}]")),
    ("duplicate-value", files("port: a, ports: [{name: a, number: 1}, {name: b, number: ^1}]")),
    ("name", files("port: ^a_b")),
    ("value", files("port: ^b, ports: [{name: a, number: 1}]")),
    ("missing-field", registry("^fileSd: {files: [/a.json], ports: [{name: a, number: 1}, {name: b, number: 2}]}")),
    ("address", registry("httpSd: {url: ^ftp://a}")),
    ("address", registry("httpSd: {url: ^'http://a.example.com', tokenFile: /t}")),
    ("address", registry("httpSd: {url: ^'https://u:p@a.example.com'}")),
    ("value", registry("httpSd: {url: 'https://a.example.com', tokenFile: ^t}")),
    ("value", registry("httpSd: {url: 'https://a.example.com', ca: ^ca.pem}")),
    ("no-effect", registry("httpSd: {url: 'http://a.example.com', ^ca: /ca.pem}")),
    ("duration", registry("httpSd: {url: 'http://a.example.com', interval: ^0s}")),
    # dns
    ("missing-field", registry("dns: {services: ^[]}")),
    ("host", registry("dns: {services: [{host: ^'*.a.com', names: [a.com], port: 1}]}")),
    ("host", dns("names: [^'a b'], port: 1")),
    ("host", dns("names: [^10.0.0.1], port: 1")),
    ("host", dns("names: [^_http.a.com]")),
    ("host", dns("names: [^_http._tcp]")),
    ("duplicate-value", dns("names: [a.com, ^a.com], port: 1")),
    ("missing-field", registry("dns: {services: [^{host: db, names: [a.com]}]}")),
    ("missing-field", registry("dns: {services: [^{host: db, names: [_a._tcp.a.com, a.com]}]}")),
    ("one-of", dns("names: [_a._tcp.a.com], ^port: 1")),
    ("label", dns("names: [a.com], port: 1, labels: {a: ^'b c'}")),
    ("duplicate-value", registry("dns: {services: [{host: db, names: [a.com], port: 1}, {host: ^db, names: [b.com], port: 1}]}")),
    ("address", registry("dns: {servers: [^a.com], services: [{host: db, names: [a.com], port: 1}]}")),
    ("address", registry("dns: {servers: [^'1.1.1.1:0'], services: [{host: db, names: [a.com], port: 1}]}")),
    ("duration", registry("dns: {minTtl: ^0s, services: [{host: db, names: [a.com], port: 1}]}")),
    ("duration", registry("dns: {minTtl: 10m, maxTtl: ^1m, services: [{host: db, names: [a.com], port: 1}]}")),
    ("name", registry("dns: {namespace: ^A, services: [{host: db, names: [a.com], port: 1}]}")),
    # platforms
    ("value", registry("kubernetes: {kubeconfig: ^~/.kube/config}")),
    ("name", registry("kubernetes: {namespaces: [^A]}")),
    ("duplicate-value", registry("kubernetes: {namespaces: [a, ^a]}")),
    ("label", registry("kubernetes: {selector: {a: ^'b c'}}")),
    ("host", registry("kubernetes: {domain: ^'a b'}")),
    ("address", registry("consul: {address: ^'127.0.0.1:8500'}")),
    ("address", registry("consul: {address: ^'unix://run/consul'}")),
    ("address", registry("consul: {address: ^'http://consul.example.com', tokenFile: /t}")),
    ("name", registry("consul: {datacenter: ^'a b'}")),
    ("value", registry("consul: {tokenFile: ^t}")),
    ("no-effect", registry("consul: {^ca: /ca.pem}")),
    ("duplicate-value", registry("consul: {services: [a, ^a]}")),
    ("name", registry("consul: {namespace: ^A}")),
    ("host", registry("consul: {domain: ^'*'}")),
    ("missing-field", etcd("addresses: ^[]")),
    ("address", etcd("addresses: [^'10.0.0.1:2379']")),
    ("address", etcd("addresses: [^'http://10.0.0.1:2379'], usernameFile: /u")),
    ("duplicate-value", etcd("addresses: ['http://10.0.0.1:2379', ^'http://10.0.0.1:2379']")),
    ("value", etcd("usernameFile: ^u")),
    ("one-of", etcd("host: a, ^hostLabel: app")),
    ("missing-field", registry("^etcd: {certificate: /c, addresses: ['https://a.com']}")),
    ("missing-field", registry("^etcd: {key: /c, addresses: ['https://a.com']}")),
    ("no-effect", etcd("^certificate: /c, key: /k")),
    ("no-effect", etcd("^ca: /c")),
    ("missing-field", registry("plugin: {adapter: ^''}")),
    ("name", registry("plugin: {adapter: ^'a b'}")),
]  # fmt: skip

HEALTHY: list[str] = [
    registries("{name: a, consul: {}}, {name: b, consul: {address: 'unix:///run/consul.sock', tokenFile: /t}}"),
    registry("consul: {}, networks: [x, y], protection: {holdFor: 0s}"),
    registry("consul: {address: 'https://consul.example.com', tokenFile: /t, ca: /ca.pem, datacenter: dc-1}"),
    registry("fileSd: {files: [/t/*.json, /t/b.yaml], hostLabel: app, ports: [{name: a, number: 1}]}"),
    files("host: a, port: b, ports: [{name: a, number: 1}, {name: b, number: 2}]"),
    registry("httpSd: {url: 'http://127.0.0.1:80/t', tokenFile: /t}"),
    registry("httpSd: {url: 'https://a.example.com/t', ca: /ca.pem}"),
    dns("names: [a.example.com, _Http._tcp.b.example.com.], port: 80, labels: {a: b}"),
    dns("names: [_http._tcp.b.example.com], ports: [{name: a, number: 1}]"),
    registry(
        "dns: {servers: [1.1.1.1, '127.0.0.1:5353', '[::1]:53'], services: [{host: db.com, names: [db], port: 1}]}"
    ),
    registry("kubernetes: {kubeconfig: /k, context: c, namespaces: [a], selector: {a: b}, domain: cluster.local}"),
    registry("kubernetes: {}"),
    etcd("addresses: ['https://a.com:2379'], usernameFile: /u, certificate: /c, key: /k, ca: /ca, prefix: /x/"),
    etcd("hostLabel: app"),
    etcd("host: a, port: b"),
    registry("plugin: {adapter: my.adapter_1, settings: {any: [thing]}}"),
]
