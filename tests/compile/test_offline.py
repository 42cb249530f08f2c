"""A view for an Envoy that fetches nothing: what Envoy can find wrong stays in, what only the proxy has does not."""

from __future__ import annotations

from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext
from google.protobuf.any_pb2 import Any as Packed

from reconciler.compile.offline import managers, offline, offline_bootstrap, without_files
from reconciler.envoy.validation import Validator
from reconciler.model.protos import decode
from reconciler.model.resource import ResourceType
from tests.compile.meshes import compiled, only, service, sidecar_proxy, workload

_MESH = (service("reviews"), workload("reviews-v1", app="reviews", address="10.0.0.1"), sidecar_proxy("reviews-v1"))
_NAME = "outbound|9080||reviews.default.svc.cluster.local"


def test_nothing_is_left_to_fetch() -> None:
    """Endpoints and routes stand inside what refers to them, as they would arrive; other clusters stay as they are."""
    view = only(compiled(*_MESH))
    parts = offline(view)
    clusters = {item.name: item for item in parts.clusters}
    (endpoints,) = view.of_type(ResourceType.ENDPOINTS)
    assert clusters[_NAME].type == Cluster.STATIC
    assert not clusters[_NAME].HasField("eds_cluster_config")
    assert clusters[_NAME].load_assignment == decode(endpoints)
    (inbound,) = (item for item in view.of_type(ResourceType.CLUSTER) if item.id.name.startswith("inbound"))
    assert clusters[inbound.id.name] == decode(inbound)
    (routes,) = view.of_type(ResourceType.ROUTE)
    found = [manager for listener in parts.listeners for _, manager in managers(listener)]
    assert not any(manager.HasField("rds") for manager in found)
    assert decode(routes) in [manager.route_config for manager in found]


def test_unknown_clusters_are_as_welcome_as_by_rds() -> None:
    """Envoy's default for `validate_clusters` differs between the two forms; a template that says nothing means RDS's."""
    view = only(compiled(*_MESH, route_configuration="ignore_port_in_host_matching: true\n"))
    (manager,) = (
        manager
        for listener in offline(view).listeners
        for _, manager in managers(listener)
        if manager.route_config.name == "9080"
    )
    assert manager.route_config.HasField("validate_clusters")
    assert not manager.route_config.validate_clusters.value


def test_the_view_is_not_changed() -> None:
    """What is pushed is what was compiled, not what Envoy was asked about."""
    view = only(compiled(*_MESH))
    before = view.version
    offline(view)
    assert view.version == before


def _accepted(context: Any, *, upstream: bool) -> str:
    message = Bootstrap()
    if upstream:
        holder = message.static_resources.clusters.add(name="one", type=Cluster.STATIC)
    else:
        listener = message.static_resources.listeners.add(name="one")
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = 1
        holder = listener.filter_chains.add()
    holder.transport_socket.name = "envoy.transport_sockets.tls"
    holder.transport_socket.typed_config.Pack(context)
    return Validator().ask(without_files(message).SerializeToString()).complaint


def test_certificates_of_another_host_are_no_complaint() -> None:
    """SDS and files that are not here are replaced; Envoy takes them, and they are as many as they were."""
    server = DownstreamTlsContext()
    server.require_client_certificate.value = True
    sds = server.common_tls_context.tls_certificate_sds_secret_configs.add(name="a")
    sds.sds_config.path_config_source.path = "/nowhere/a.pb"
    combined = server.common_tls_context.combined_validation_context
    combined.validation_context_sds_secret_config.name = "ca"
    combined.default_validation_context.match_typed_subject_alt_names.add(san_type=2).matcher.exact = "a"
    assert _accepted(server, upstream=False) == ""
    client = UpstreamTlsContext(sni="x")
    pair = client.common_tls_context.tls_certificates.add()
    pair.certificate_chain.filename = pair.private_key.filename = "/nowhere/tls"
    client.common_tls_context.validation_context.trusted_ca.filename = "/nowhere/ca"
    client.common_tls_context.validation_context.crl.filename = "/nowhere/crl"
    assert _accepted(client, upstream=True) == ""
    client.common_tls_context.tls_certificates.add().CopyFrom(pair)
    assert "Multiple TLS certificates" in _accepted(client, upstream=True)


def test_what_tls_settings_say_is_still_checked() -> None:
    """With SDS alone, Envoy would not look at cipher suites before the secret comes."""
    server = DownstreamTlsContext()
    server.common_tls_context.tls_params.cipher_suites.append("NOPE")
    server.common_tls_context.tls_certificate_sds_secret_configs.add(name="a")
    assert "NOPE" in _accepted(server, upstream=False)
    server.common_tls_context.validation_context_sds_secret_config.name = "ca"
    del server.common_tls_context.tls_params.cipher_suites[:]
    assert _accepted(server, upstream=False) == ""


def test_log_files_are_not_made() -> None:
    """Envoy opens access logs even in validate mode; ours may not leave files on a machine that only validates."""
    chain = FilterChain()
    manager = HttpConnectionManager()
    manager.access_log.add().typed_config.Pack(FileAccessLog(path="/var/log/envoy/access.log"))
    chain.filters.add().typed_config.Pack(manager)
    without_files(chain)
    manager = HttpConnectionManager()
    chain.filters[0].typed_config.Unpack(manager)
    log = FileAccessLog()
    manager.access_log[0].typed_config.Unpack(log)
    assert log.path == "/dev/null"


def test_messages_that_only_envoy_knows_stay_as_they_are() -> None:
    """An extension without protobufs here is for Envoy to judge."""
    packed = Packed(type_url="type.googleapis.com/no.such.Message", value=b"x")
    assert without_files(packed).value == b"x"


def test_a_bootstrap_without_its_proxy_is_the_same_for_all() -> None:
    """Who a proxy is and where its admin endpoint and its files are is left out; the rest of the bootstrap is kept."""
    message = Bootstrap()
    message.node.id = "a"
    message.admin.address.pipe.path = "/run/a.sock"
    message.admin.allow_paths.add(exact="/ready")
    message.dynamic_resources.cds_config.path_config_source.path = "/nowhere/cds.pb"
    message.stats_flush_interval.seconds = 1
    other = Bootstrap()
    other.CopyFrom(message)
    other.node.id, other.admin.address.pipe.path = "b", "/run/b.sock"
    assert offline_bootstrap(message) == offline_bootstrap(other)
    kept = offline_bootstrap(message)
    assert (kept.stats_flush_interval.seconds, len(kept.admin.allow_paths)) == (1, 1)
    assert not kept.HasField("dynamic_resources")
    assert message.node.id == "a"
