"""What a gRPC application is started with, in place of an Envoy's bootstrap: the JSON of `GRPC_XDS_BOOTSTRAP` (gRFCs A27, A36, A65).

gRPC reads it once in a process. It says where the daemon is and who the application is; everything else comes by the stream.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3.base_pb2 import Node

from reconciler.compile.bootstrap import AdsMismatchError, AdsPlaintextError, Start, fill_node
from reconciler.compile.bootstrap_tls import missing
from reconciler.compile.proxyless import PROVIDER, SERVER
from reconciler.compile.tls import certificates as merged
from reconciler.errors import UsageError
from reconciler.model.mesh import Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Certificates, Proxy

_REFRESH = "10s"
"""How often certificate files are looked at."""


def grpc_bootstrap(proxy: Policy[Proxy], start: Start) -> dict[str, Any]:
    """The bootstrap of a gRPC application, as JSON-like values.

    A resource that the daemon takes away is gone for it (no `ignore_resource_deletion`): calls to a removed service fail.

    Args:
        proxy: With `push: {ads: {client: grpc}}`.
        start: `ads` and `certificates` are looked at.

    Raises:
        AdsMismatchError: Nobody says where the daemon is.
        AdsPlaintextError: The daemon is elsewhere and there are no certificates.
        UsageError: The daemon's certificate is to be for another name than its address.
    """
    link = start.ads
    if link is None:
        raise AdsMismatchError(
            f"{proxy.key} is pushed to by ADS, and nobody says where the daemon is",
            hint="give --ads HOST:PORT, the address that `reconcile daemon --ads` listens on",
        )
    if link.name and link.name != link.host:
        raise UsageError(
            f"{proxy.key} is a gRPC application, which checks the daemon's certificate against {link.host} and no other name",
            hint="give --ads the name that the certificate is for, and leave --ads-name out",
        )
    own = merged(proxy.spec.certificates, start.certificates)
    absent = missing(own)
    if absent and not link.local and not link.plaintext:
        raise AdsPlaintextError(
            f"{proxy.key} would speak to {link.host} in the clear: {' and '.join(absent)} of its certificates are not named",
            hint="name certificateChain, privateKey and rootCertificate in `certificates` of the Proxy or the Mesh; "
            "--ads-plaintext does without, where only the two hosts can see and change what is sent",
        )
    files = _files(own)
    secured = not absent and not link.plaintext
    node = Node()
    fill_node(node, proxy)
    host = f"[{link.host}]" if ":" in link.host else link.host
    found: dict[str, Any] = {
        "xds_servers": [
            {
                "server_uri": f"{host}:{link.port}",
                "channel_creds": [{"type": "tls", "config": files} if secured else {"type": "insecure"}],
                "server_features": ["xds_v3"],
            }
        ],
        "node": to_dict(node),
        "server_listener_resource_name_template": f"{SERVER}%s",
    }
    if not absent:
        found["certificate_providers"] = {PROVIDER: {"plugin_name": "file_watcher", "config": files}}
    return found


def _files(own: Certificates) -> dict[str, str]:
    return {
        "certificate_file": own.certificate_chain,
        "private_key_file": own.private_key,
        "ca_certificate_file": own.root_certificate,
        "refresh_interval": _REFRESH,
    }
