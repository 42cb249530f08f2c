"""What an Envoy is started with: who it is, where its admin endpoint is, and where its configuration comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap

from reconciler.compile.bootstrap_admin import (
    AdminAddressError,
    AdminPlace,
    admin_cluster,
    admin_place,
    fill_address,
    fill_listener,
    private_place,
)
from reconciler.compile.bootstrap_link import AdsLink, ads_config, fill_cluster
from reconciler.compile.bootstrap_metrics import fill_metrics_listener, fill_tags
from reconciler.compile.bootstrap_tls import missing, secret_files, towards
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sources import AdsSource, FilesSource, Source
from reconciler.compile.tls import certificates as merged
from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Certificates, Client, Proxy
from reconciler.model.resource import ResourceType
from reconciler.model.telemetry import Metrics

_FOLDER = "/var/lib/envoy"


class RuntimeBootstrapError(UsageError):
    """A proxy that is pushed to by runtime is configured by someone else: there is no bootstrap to render."""

    default_code = "runtime-bootstrap"


class GrpcBootstrapError(UsageError):
    """A gRPC application is no Envoy: there is no Envoy bootstrap to render."""

    default_code = "grpc-bootstrap"


class AdsMismatchError(UsageError):
    """The daemon's address and the proxy's way of being pushed to don't go together. Codes: ads-missing, ads-unused."""

    default_code = "ads-missing"


class AdsPlaintextError(UsageError):
    """The stream would cross a network in the clear, and nobody has said that this is meant."""

    default_code = "ads-plaintext"


class ObserverCertificateError(AdminAddressError):
    """An `https` admin address without the certificates that its listener needs."""

    default_code = "admin-certificates"


class MetricsCertificateError(AdminAddressError):
    """Metrics behind mutual TLS without the certificates that its listener needs."""

    default_code = "metrics-certificates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a bootstrap needs to know besides the Proxy document.

    Attributes:
        ads: Where the daemon is; only for a proxy that is pushed to by ADS.
        certificates: The mesh's; what the Proxy document names comes first.
        folder: Path on the proxy's host for the files that the bootstrap refers to, and for the socket of an admin endpoint that is
            observed from elsewhere; `/var/lib/envoy/NAMESPACE.NAME` by default.
        admin_bind: IP address that the listener of an `https` admin address binds, if not the one in it.
        observers: Names in a certificate, of which an observer's needs one; any certificate of the root if empty.
        metrics: Where the mesh's proxies serve their metrics; what the Proxy document says comes first.
    """

    ads: AdsLink | None = None
    certificates: Certificates = field(default_factory=Certificates)
    folder: str = ""
    admin_bind: str = ""
    observers: tuple[str, ...] = ()
    metrics: Metrics | None = None

    def folder_of(self, proxy: Key) -> str:
        """Where this proxy's files are."""
        return (self.folder or f"{_FOLDER}/{proxy.namespace}.{proxy.name}").rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A bootstrap, and what its Envoy needs beside it.

    Attributes:
        message: The `envoy.config.bootstrap.v3.Bootstrap`.
        socket: Path of the admin endpoint's Unix socket, whose folder has to exist; "" if it has none.
        files: Files that have to exist, by path: DiscoveryResponses, as JSON-like values. They name certificates and hold none.
        exposed: Whether Envoy's own admin endpoint can be reached from other hosts.
        plaintext: Whether what the daemon sends crosses a network in the clear.
    """

    message: Bootstrap
    socket: str
    files: Mapping[str, Mapping[str, Any]]
    exposed: bool
    plaintext: bool


def bootstrap(proxy: Policy[Proxy], prototypes: Prototypes, start: Start = Start()) -> Bootstrap:
    """The `envoy.config.bootstrap.v3.Bootstrap` of a proxy; see `started` for what else it needs.

    Raises:
        UsageError: As `started`.
    """
    return started(proxy, prototypes, start).message


def started(proxy: Policy[Proxy], prototypes: Prototypes, start: Start = Start()) -> Started:
    """The bootstrap of a proxy, and what its Envoy needs beside it.

    Raises:
        RuntimeBootstrapError: It is pushed to by runtime.
        GrpcBootstrapError: It is a gRPC application.
        AdsMismatchError: It is pushed to by ADS and there is no address, or the other way round.
        AdsPlaintextError: The daemon is elsewhere and there are no certificates.
        AdminAddressError: Its admin address is not a Unix socket or an IP address with a port.
        ObserverCertificateError: Its admin address is https and there are no certificates.
        MetricsCertificateError: Its metrics want mutual TLS and there are no certificates.
    """
    source = _source(proxy, start)
    files: dict[str, Mapping[str, Any]] = {}
    message = Bootstrap()
    message.CopyFrom(prototypes.bootstrap)
    fill_node(message.node, proxy)
    fill_tags(message, proxy)
    message.dynamic_resources.cds_config.CopyFrom(source.of(ResourceType.CLUSTER))
    message.dynamic_resources.lds_config.CopyFrom(source.of(ResourceType.LISTENER))
    own = merged(proxy.spec.certificates, start.certificates)
    folder = start.folder_of(proxy.key)
    if start.ads is not None and _link(message, proxy, prototypes, start.ads, own, folder):
        files |= secret_files(own, folder)
    place = _admin(message, proxy, start, folder)
    metrics = metrics_of(proxy, start)
    if place.observed or metrics is not None:
        message.static_resources.clusters.add().CopyFrom(admin_cluster(place))
    if place.observed:
        _observer(message, proxy, prototypes, start, own, place)
        files |= secret_files(own, folder)
    if metrics is not None:
        _metrics(message, proxy, prototypes, metrics, own, folder)
        files |= secret_files(own, folder) if metrics.mutual_tls else {}
    clear = start.ads is not None and not start.ads.local and not _secured(start.ads, own)
    return Started(message=message, socket=place.path, files=files, exposed=place.exposed, plaintext=clear)


def _source(proxy: Policy[Proxy], start: Start) -> Source:
    push = proxy.spec.push
    if push.files is not None:
        if start.ads is not None:
            raise AdsMismatchError(
                f"{proxy.key} is pushed to by files and needs no daemon's address",
                code="ads-unused",
                hint="leave --ads out, or write `push: {ads: {}}` on the Proxy",
            )
        return FilesSource(push.files.directory)
    if push.ads is None:
        raise RuntimeBootstrapError(
            f"{proxy.key} is configured by someone else and only given weights, so it has no bootstrap of ours",
            hint="set `push.files` or `push.ads` on the Proxy if this product is to configure it",
        )
    if push.ads.client is Client.GRPC:
        raise GrpcBootstrapError(
            f"{proxy.key} is a gRPC application, which has no Envoy to start",
            hint="`reconcile bootstrap` prints what GRPC_XDS_BOOTSTRAP of the application is to name",
        )
    if start.ads is None:
        raise AdsMismatchError(
            f"{proxy.key} is pushed to by ADS, and nobody says where the daemon is",
            hint="give --ads HOST:PORT, the address that `reconcile daemon --ads` listens on",
        )
    return AdsSource()


def fill_node(node: Any, proxy: Policy[Proxy]) -> None:
    """Say in a `Node` who a proxy is: what the daemon reads of one that announces itself, and what stands in config dumps."""
    spec = proxy.spec
    node.id = str(proxy.key)
    node.cluster = f"{spec.workload or proxy.key.name}.{proxy.key.namespace}"
    node.metadata.update(
        {
            "name": proxy.key.name,
            "namespace": proxy.key.namespace,
            "workload": spec.workload,
            "labels": dict(sorted(spec.labels.items())),
            "admin": spec.admin,
        }
    )
    if spec.locality:
        region, zone, subzone = (*spec.locality.split("/"), "", "")[:3]
        node.locality.region, node.locality.zone, node.locality.sub_zone = region, zone, subzone


def _secured(link: AdsLink, own: Certificates) -> bool:
    return not link.plaintext and not missing(own)


def _link(
    message: Any, proxy: Policy[Proxy], prototypes: Prototypes, link: AdsLink, own: Certificates, folder: str
) -> bool:
    """The stream and its cluster; whether it is secured."""
    secured = _secured(link, own)
    if not secured and not link.local and not link.plaintext:
        raise AdsPlaintextError(
            f"{proxy.key} would speak to {link.host} in the clear: {' and '.join(missing(own))} of its certificates are not named",
            hint="name certificateChain, privateKey and rootCertificate in `certificates` of the Proxy or the Mesh; "
            "--ads-plaintext does without, where only the two hosts can see and change what is sent",
        )
    message.dynamic_resources.ads_config.CopyFrom(ads_config(link))
    cluster = message.static_resources.clusters.add()
    cluster.CopyFrom(prototypes.cluster_ads)
    fill_cluster(cluster, link)
    if secured:
        cluster.transport_socket.CopyFrom(towards(link.expected, folder))
    return secured


def metrics_of(proxy: Policy[Proxy], start: Start) -> Metrics | None:
    """Where a proxy serves its metrics."""
    return proxy.spec.metrics or start.metrics


def _admin(message: Any, proxy: Policy[Proxy], start: Start, folder: str) -> AdminPlace:
    """The admin endpoint: where the document says, or on a socket that only metrics are read from, or none."""
    if proxy.spec.admin:
        place = admin_place(str(proxy.key), proxy.spec.admin, folder=folder, bind=start.admin_bind)
    elif metrics_of(proxy, start) is not None:
        place = private_place(str(proxy.key), folder=folder)
    else:
        message.ClearField("admin")
        return AdminPlace()
    fill_address(message.admin.address, place)
    return place


def _metrics(
    message: Any, proxy: Policy[Proxy], prototypes: Prototypes, metrics: Metrics, own: Certificates, folder: str
) -> None:
    absent = missing(own)
    if metrics.mutual_tls and absent:
        raise MetricsCertificateError(
            f"{proxy.key} can't serve its metrics by TLS: {' and '.join(absent)} of its certificates are not named",
            hint="name certificateChain, privateKey and rootCertificate in `certificates` of the Proxy or the Mesh",
        )
    listener = message.static_resources.listeners.add()
    listener.CopyFrom(prototypes.listener_metrics)
    fill_metrics_listener(listener, metrics, folder=folder)


def _observer(
    message: Any, proxy: Policy[Proxy], prototypes: Prototypes, start: Start, own: Certificates, place: AdminPlace
) -> None:
    absent = missing(own)
    if absent:
        raise ObserverCertificateError(
            f"{proxy.key} can't be observed on {proxy.spec.admin}: {' and '.join(absent)} of its certificates are not named",
            hint="name certificateChain, privateKey and rootCertificate in `certificates` of the Proxy or the Mesh",
        )
    listener = message.static_resources.listeners.add()
    listener.CopyFrom(prototypes.listener_observer)
    fill_listener(listener, place, clients=start.observers, folder=start.folder_of(proxy.key))
