"""What an Envoy is started with: who it is, where its admin endpoint is, and where its configuration comes from."""

from __future__ import annotations

import re
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap

from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sources import FilesSource
from reconciler.errors import UsageError
from reconciler.model.hosts import is_address
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import ResourceType

_UNIX = "unix://"
_TCP = re.compile(r"http://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[^:/\[\]]+)):(?P<port>\d{1,5})/?")
_OWNER_ONLY = 0o600
_LOOPBACK = "127.0.0.1"
_LAST_PORT = 65535


class RuntimeBootstrapError(UsageError):
    """A proxy that is pushed to by runtime is configured by someone else: there is no bootstrap to render."""

    default_code = "runtime-bootstrap"


class AdminAddressError(UsageError):
    """An Envoy can't bind the admin address of its Proxy document."""

    default_code = "admin-address"


def bootstrap(proxy: Policy[Proxy], prototypes: Prototypes) -> Bootstrap:
    """The `envoy.config.bootstrap.v3.Bootstrap` of a proxy.

    Raises:
        RuntimeBootstrapError: It is pushed to by runtime.
        AdminAddressError: Its admin address is not a Unix socket or an IP address with a port.
    """
    push = proxy.spec.push
    if push.files is None:
        raise RuntimeBootstrapError(
            f"{proxy.key} is configured by someone else and only given weights, so it has no bootstrap of ours",
            hint="set `push.files` on the Proxy if this product is to configure it",
        )
    message = Bootstrap()
    message.CopyFrom(prototypes.bootstrap)
    _node(message.node, proxy)
    _admin(message.admin.address, proxy)
    source = FilesSource(push.files.directory)
    message.dynamic_resources.cds_config.CopyFrom(source.of(ResourceType.CLUSTER))
    message.dynamic_resources.lds_config.CopyFrom(source.of(ResourceType.LISTENER))
    return message


def _node(node: Any, proxy: Policy[Proxy]) -> None:
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


def _admin(address: Any, proxy: Policy[Proxy]) -> None:
    text = proxy.spec.admin
    if text.startswith(_UNIX):
        address.pipe.path = text.removeprefix(_UNIX)
        address.pipe.mode = _OWNER_ONLY
        return
    found = _TCP.fullmatch(text)
    host = (found["six"] or found["four"]) if found else ""
    host = _LOOPBACK if host == "localhost" else host
    port = int(found["port"]) if found else 0
    if not is_address(host) or not 0 < port <= _LAST_PORT:
        raise AdminAddressError(
            f"{proxy.key} can't open its admin endpoint on {text}",
            hint="write unix:///PATH, or http://ADDRESS:PORT with an IP address, 127.0.0.1 if possible",
        )
    address.socket_address.address = host
    address.socket_address.port_value = port
