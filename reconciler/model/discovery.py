"""Registries: `Mesh.discovery`, where services and instances come from that are not in Git."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from reconciler.model.key import DEFAULT_NAMESPACE
from reconciler.model.serviceentry import ServicePort
from reconciler.model.spec import Duration, Labels, PortNumber, Spec

_Text = Annotated[str, Field(min_length=1)]
_Percent = Annotated[float, Field(ge=0, le=100)]


class Naming(Spec):
    """Which service a target belongs to, where the registry itself has no services.

    Attributes:
        host: All targets are instances of this one host.
        host_label: Or: the label that says the host; `job` by default.
        namespace: What short hosts are completed with, and where policies for the hosts are.
        ports: Ports of hosts that no ServiceEntry declares; without them such hosts are no services.
        port: Name of the port that a target's port is; any, if the service has only one.
    """

    host: str = ""
    host_label: str = "job"
    namespace: _Text = DEFAULT_NAMESPACE
    ports: tuple[ServicePort, ...] = ()
    port: str = ""


class FileSd(Naming):
    """Prometheus's file_sd: files with lists of targets, in JSON or YAML.

    Attributes:
        files: Absolute paths on the daemon's host that end in `.json`, `.yml` or `.yaml`; the last part may have `*`.
        interval: How often files are read although nobody has said that they changed.
    """

    files: Annotated[tuple[_Text, ...], Field(min_length=1)]
    interval: Duration = timedelta(minutes=5)


class HttpSd(Naming):
    """Prometheus's http_sd: a URL that answers with a list of targets in JSON.

    Attributes:
        url: `http://` or `https://`.
        interval: Between two questions; at least `100ms`.
        token_file: Path on the daemon's host of a file with a bearer token.
        ca: Path of the authorities, PEM, that the server is checked against; the system's by default.
    """

    url: _Text
    interval: Duration = timedelta(seconds=30)
    token_file: str = ""
    ca: str = ""


class DnsService(Spec):
    """A service whose instances are found by DNS.

    Attributes:
        host: The service.
        names: What is looked up: host names (A and AAAA) with `port`, or SRV names (`_http._tcp.reviews.example.com`).
        port: Of instances, for A and AAAA; that of `ports` by default, if there is just one. SRV has its own.
        labels: What all instances carry.
        ports: Of the service if no ServiceEntry declares it.
    """

    host: _Text
    names: Annotated[tuple[_Text, ...], Field(min_length=1)]
    port: PortNumber | None = None
    labels: Labels = {}
    ports: tuple[ServicePort, ...] = ()


class Dns(Spec):
    """DNS, asked by the daemon; answers are kept for their TTL.

    Attributes:
        services: Whose instances are looked up.
        servers: `address` or `address:port`; those of /etc/resolv.conf by default.
        namespace: What short hosts are completed with.
        min_ttl: Shortest time between two questions, whatever the TTL.
        max_ttl: Longest.
    """

    services: Annotated[tuple[DnsService, ...], Field(min_length=1)]
    servers: tuple[_Text, ...] = ()
    namespace: _Text = DEFAULT_NAMESPACE
    min_ttl: Duration = timedelta(seconds=1)
    max_ttl: Duration = timedelta(minutes=5)


class Kubernetes(Spec):
    """Services and EndpointSlices of a cluster.

    Attributes:
        kubeconfig: Path on the daemon's host; the environment's (`KUBECONFIG`, `~/.kube/config`) or the pod's own account by default.
        context: Of the kubeconfig; its current one by default.
        namespaces: Only these; all by default.
        selector: Only Services with these labels.
        domain: The cluster's; the mesh's by default.
    """

    kubeconfig: str = ""
    context: str = ""
    namespaces: tuple[_Text, ...] = ()
    selector: Labels = {}
    domain: str = ""


class Consul(Spec):
    """Consul's catalog and health.

    Attributes:
        address: `http://host:port`, `https://host:port` or `unix:///path`.
        datacenter: The agent's own by default.
        token_file: Path on the daemon's host of a file with an ACL token.
        tag: Only instances with this tag.
        services: Only these; all by default.
        namespace: Where policies for its services are.
        domain: Hosts are `<service>.service.<domain>`; `consul` by default.
        port: Of all its services, whatever ports their instances have; by default services have the ports of their instances.
        ca: Path of the authorities, PEM, for `https://`; the system's by default.
    """

    address: _Text = "http://127.0.0.1:8500"
    datacenter: str = ""
    token_file: str = ""
    tag: str = ""
    services: tuple[_Text, ...] = ()
    namespace: _Text = DEFAULT_NAMESPACE
    domain: _Text = "consul"
    port: PortNumber | None = None
    ca: str = ""


class Etcd(Naming):
    """etcd as a registry: keys `<prefix><service>/<instance>`, as gRPC's etcd naming, go-zero and Kitex write them.

    Attributes:
        addresses: `http://host:port` or `https://host:port` of its members; any of them will do.
        prefix: What keys of services begin with.
        host_label: The label that says the host; by default it is the key's part between the prefix and the last slash.
        username_file: Path on the daemon's host of a file with `user:password`, if it asks for one.
        ca: Path of the authorities, PEM, for `https://`; the system's by default.
        certificate: Path of a client certificate, PEM.
        key: Path of its private key, PEM.
    """

    addresses: Annotated[tuple[_Text, ...], Field(min_length=1)] = ("http://127.0.0.1:2379",)
    prefix: str = ""
    host_label: str = ""
    username_file: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""


class Plugin(Spec):
    """An adapter that another Python package brings, by the entry point `reconciler.discovery`.

    Attributes:
        adapter: Name of the entry point.
        settings: Its own; it says itself what is wrong with them.
    """

    adapter: _Text
    settings: Mapping[str, Any] = {}


class Protection(Spec):
    """What a registry is not believed at once.

    Attributes:
        max_loss_percent: A step that takes more than this share of a service's, or of the registry's, instances is held; taking
            all of them always is.
        hold_for: For how long: then it is believed. `0s` believes everything at once.
        flaps: How often an instance may come and go within `flap_window`; then it is left out until it was steady for as long.
        flap_window: See there.
    """

    max_loss_percent: _Percent = 100
    hold_for: Duration = timedelta(minutes=5)
    flaps: Annotated[int, Field(ge=1)] = 5
    flap_window: Duration = timedelta(minutes=1)


class Registry(Spec):
    """One place where services and instances are found: exactly one of the kinds, from `file_sd` to `plugin`.

    Attributes:
        name: Unique in the mesh; shown as where an endpoint comes from.
        networks: Instances of other networks are left out; none means that all can be reached.
        protection: What it is not believed at once.
        file_sd: Files of Prometheus's format.
        http_sd: A URL of Prometheus's format.
        dns: Names.
        kubernetes: A cluster.
        consul: Consul.
        etcd: etcd.
        plugin: Something else.
    """

    name: _Text
    networks: tuple[_Text, ...] = ()
    protection: Protection = Protection()
    file_sd: FileSd | None = None
    http_sd: HttpSd | None = None
    dns: Dns | None = None
    kubernetes: Kubernetes | None = None
    consul: Consul | None = None
    etcd: Etcd | None = None
    plugin: Plugin | None = None


KINDS = ("file_sd", "http_sd", "dns", "kubernetes", "consul", "etcd", "plugin")
"""Fields of a Registry of which there is exactly one."""
