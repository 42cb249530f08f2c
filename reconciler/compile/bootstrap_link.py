"""Where an Envoy finds the daemon: the stream's settings, and the static cluster that it goes through.

What a stream needs besides is the operators' (`cluster-ads.yaml`). Pure; which certificates secure it is `bootstrap_tls`'s.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion

from reconciler.errors import UsageError
from reconciler.model.hosts import is_address
from reconciler.model.variant import Variant

CLUSTER_NAME = "reconciler-ads"

_V3 = ApiVersion.Value("V3")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")
_LAST_PORT = 65535
_LOOPBACK = "127.0.0.1"
_FIRST_RETRY = timedelta(milliseconds=250)
_LAST_RETRY = timedelta(seconds=5)


class AdsAddressError(UsageError):
    """This is not where a daemon can be."""

    default_code = "ads-address"


_API_TYPES = {Variant.DELTA: ApiConfigSource.DELTA_GRPC, Variant.SOTW: ApiConfigSource.GRPC}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdsLink:
    """How to reach the daemon.

    Attributes:
        host: An IP address, or a name that the proxy's host resolves.
        port: Its ADS port.
        name: What its certificate is for, if not for `host`: a DNS name or an IP address.
        variant: The form of the protocol.
        plaintext: Use no TLS, whatever certificates there are.
    """

    host: str
    port: int
    name: str = ""
    variant: Variant = Variant.DELTA
    plaintext: bool = False

    @classmethod
    def parse(cls, address: str, *, name: str = "", variant: Variant = Variant.DELTA, plaintext: bool = False) -> Self:
        """From `host:port` or `[IPv6]:port`.

        Raises:
            AdsAddressError: It has another form.
        """
        found = _ADDRESS.fullmatch(address)
        host, port = ((found["six"] or found["four"]), int(found["port"])) if found else ("", 0)
        # what has only digits and dots, or colons, is meant as an address and must be one
        wrong = bool(re.fullmatch(r"[0-9.]+|.*:.*", host)) and not is_address(host)
        if not host or wrong or not 0 < port <= _LAST_PORT:
            raise AdsAddressError(
                f"{address!r} is not where a daemon can be", hint="write HOST:PORT, as in --ads 10.0.0.5:15010"
            )
        return cls(host=host, port=port, name=name, variant=variant, plaintext=plaintext)

    @property
    def local(self) -> bool:
        """Whether what is sent stays on the proxy's host."""
        return self.host == "localhost" or (is_address(self.host) and ipaddress.ip_address(self.host).is_loopback)

    @property
    def expected(self) -> str:
        """The name that its certificate must have."""
        return self.name or self.host


def ads_config(link: AdsLink) -> ApiConfigSource:
    """How the stream is spoken and, after it broke, begun again.

    Envoy's own delays grow to 30 s, which is how long a restarted daemon could be without some of its proxies.
    """
    source = ApiConfigSource(
        api_type=_API_TYPES[link.variant], transport_api_version=_V3, set_node_on_first_message_only=True
    )
    service = source.grpc_services.add().envoy_grpc
    service.cluster_name = CLUSTER_NAME
    service.retry_policy.retry_back_off.base_interval.FromTimedelta(_FIRST_RETRY)
    service.retry_policy.retry_back_off.max_interval.FromTimedelta(_LAST_RETRY)
    return source


def fill_cluster(cluster: Any, link: AdsLink) -> None:
    """Write name, type and address into a copy of `cluster-ads.yaml`."""
    host = _LOOPBACK if link.host == "localhost" else link.host
    cluster.name = CLUSTER_NAME
    cluster.type = Cluster.STATIC if is_address(host) else Cluster.STRICT_DNS
    cluster.load_assignment.cluster_name = CLUSTER_NAME
    address = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address = host
    address.port_value = link.port
