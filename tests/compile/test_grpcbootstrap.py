"""What a gRPC application is started with. That gRPC takes it is in `tests/proxyless`."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import AdsLink, AdsMismatchError, AdsPlaintextError, Start, grpc_bootstrap
from reconciler.compile.proxyless import SERVER
from reconciler.errors import UsageError
from reconciler.model.proxy import Certificates
from tests.compile.applications import application
from tests.compile.meshes import mesh_of

_NONE = Certificates()
_OWN = Certificates(certificate_chain="/c/tls.crt", private_key="/c/tls.key", root_certificate="/c/ca.crt")
_FILES = {
    "certificate_file": "/c/tls.crt",
    "private_key_file": "/c/tls.key",
    "ca_certificate_file": "/c/ca.crt",
    "refresh_interval": "10s",
}


def _started(
    ads: str = "127.0.0.1:15010", *, own: Certificates = _NONE, extra: str = "", **link: Any
) -> dict[str, Any]:
    (proxy,) = mesh_of(application(workload="w", extra=extra)).proxies
    return grpc_bootstrap(proxy, Start(ads=AdsLink.parse(ads, **link), certificates=own))


def test_it_says_where_the_daemon_is_and_who_the_application_is() -> None:
    """The whole of it: identity and metadata as an Envoy's, and the form in which servers ask for their listeners."""
    assert _started() == {
        "xds_servers": [
            {
                "server_uri": "127.0.0.1:15010",
                "channel_creds": [{"type": "insecure"}],
                "server_features": ["xds_v3"],
            }
        ],
        "node": {
            "id": "default/app",
            "cluster": "w.default",
            "metadata": {"name": "app", "namespace": "default", "workload": "w", "labels": {}, "admin": ""},
        },
        "server_listener_resource_name_template": f"{SERVER}%s",
    }


def test_certificates_secure_the_stream_and_are_there_for_services() -> None:
    """The proxy's own ones, before the mesh's, for the daemon and as the provider that clusters and listeners name."""
    found = _started("reconciler.example:15010", own=_OWN)
    assert found["xds_servers"][0]["channel_creds"] == [{"type": "tls", "config": _FILES}]
    assert found["certificate_providers"] == {"default": {"plugin_name": "file_watcher", "config": _FILES}}
    other = _started(own=_OWN, extra=", certificates: {privateKey: /mine.key}")
    assert other["certificate_providers"]["default"]["config"]["private_key_file"] == "/mine.key"


def test_plaintext_over_a_network_is_only_on_purpose() -> None:
    """On one host nobody is between the two."""
    with pytest.raises(AdsPlaintextError):
        _started("10.0.0.1:15010")
    meant = _started("10.0.0.1:15010", own=_OWN, plaintext=True)
    assert meant["xds_servers"][0]["channel_creds"] == [{"type": "insecure"}]
    assert "certificate_providers" in meant


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    """As gRPC reads them."""
    assert _started("[::1]:15010")["xds_servers"][0]["server_uri"] == "[::1]:15010"


def test_a_gateways_locality_comes_along() -> None:
    """For load balancing by locality, as an Envoy's."""
    (proxy,) = mesh_of(application(extra=", locality: eu/a")).proxies
    found = grpc_bootstrap(proxy, Start(ads=AdsLink.parse("127.0.0.1:1")))
    assert found["node"]["locality"] == {"region": "eu", "zone": "a"}


def test_what_grpc_cant_do_is_refused() -> None:
    """No address, or a certificate for another name than the address."""
    (proxy,) = mesh_of(application()).proxies
    with pytest.raises(AdsMismatchError):
        grpc_bootstrap(proxy, Start())
    with pytest.raises(UsageError, match="no other name"):
        _started(own=_OWN, name="reconciler.example")
