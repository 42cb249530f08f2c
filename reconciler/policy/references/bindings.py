"""Where a VirtualService's rules are carried out: its Gateways and ports, and whether they have use for them."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.model.gateway import Server, ServerTLSMode
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.virtualservice import MESH_GATEWAY, VirtualService
from reconciler.model.visibility import exported, visible
from reconciler.policy.findings import Report, close
from reconciler.policy.references.destinations import Carried
from reconciler.policy.references.index import Index
from reconciler.policy.references.parts import matches


def check_bindings(policy: Policy[VirtualService], index: Index, report: Report) -> None:
    """The Gateways exist, see the document and take its hosts, and its rules are of kinds and for ports that are there."""
    for position, name in enumerate(policy.spec.gateways):
        if name != MESH_GATEWAY:
            _check_gateway(policy, name, index, report.below("gateways", position), report)
    _check_matches(policy, index, report)
    servers = _servers(policy, index)
    if servers is not None:
        _check_kinds(policy, servers, index, report)


def listeners(policy: Policy[VirtualService], index: Index) -> set[int]:
    """The ports that requests and connections under this VirtualService come in at, as far as is known."""
    mesh, keys = index.bound(policy)
    out: set[int] = set()
    if mesh:
        services = [index.service(host) for host in index.called(policy)]
        out.update(port.number for service in services if service for port in service.ports)
    for gateway in (index.gateways.get(key) for key in keys):
        out.update(server.port.number for server in (gateway.spec.servers if gateway else ()))
    return out


def _check_gateway(policy: Policy[VirtualService], name: str, index: Index, here: Report, report: Report) -> None:
    key = policy.resolve(name)
    gateway = index.gateways.get(key)
    if gateway is None:
        if not index.failed_key("Gateway", key):
            hint = close(name, (str(item.short()) for item in index.gateways))
            hint = hint or "add a Gateway of this name, or write `namespace/name`"
            here.error("ref-gateway", f"there is no Gateway {key}", hint=hint)
        return
    to = exported(policy.spec.export_to, policy.key.namespace)
    clients = index.opened_in(key)
    if clients and not any(visible(to, namespace) for namespace in clients):
        names = ", ".join(sorted(clients))
        message = f"the proxies of Gateway {name} are in namespace {names}, which this document is not exported to"
        here.warning("ref-visibility", message, hint="add the namespace to exportTo")
    for position, host in enumerate(policy.spec.hosts):
        if not index.offered(gateway).to(index.host(host, policy.key), policy.key.namespace):
            message = f"the Gateway {name} takes no requests for {host}"
            hint = "add the host to one of its servers, or remove it here"
            report.warning("ref-gateway-host", message, "hosts", position, hint=hint)


def _check_matches(policy: Policy[VirtualService], index: Index, report: Report) -> None:
    """Gateways of matches that the VirtualService isn't bound to: such a match never holds."""
    mesh, keys = index.bound(policy)
    known = {*keys, *([Key("", MESH_GATEWAY)] if mesh else [])}
    for path, match in matches(policy.spec) if known else ():
        for number, name in enumerate(match.gateways):
            key = Key("", MESH_GATEWAY) if name == MESH_GATEWAY else policy.resolve(name)
            if key not in known:
                message = f"the VirtualService is not bound to {name}, so nothing is matched there"
                hint = f"add {name} to `gateways` of the VirtualService, or remove it here"
                report.warning("ref-gateway", message, *path, "gateways", number, hint=hint)


def _servers(policy: Policy[VirtualService], index: Index) -> list[Server] | None:
    """The servers of its Gateways that take its hosts; None where something is missing that is reported as such."""
    out: list[Server] = []
    for key in index.bound(policy)[1]:
        gateway = index.gateways.get(key)
        if gateway is None:
            return None
        hosts = index.called(policy)
        taking = [server for host in hosts for server in index.offered(gateway).to(host, policy.key.namespace)]
        if not taking:
            return None
        out.extend(taking)
    return out


def _check_kinds(policy: Policy[VirtualService], servers: Collection[Server], index: Index, report: Report) -> None:
    kinds = {kind for server in servers if (kind := _of_server(server))}
    ports = {server.port.number for server in servers}
    if index.bound(policy)[0]:
        for host in index.called(policy):
            service = index.services.get(host)
            if service is None:
                return  # routed wherever it is asked for, or reported
            ports.update(port.number for port in service.ports)
            for port in service.ports:
                kinds.add(Carried.HTTP if port.protocol.is_http else Carried.TCP)
                kinds.update([Carried.TLS] if port.protocol.is_tls else [])
    if not kinds:
        return
    for kind in Carried:
        if getattr(policy.spec, kind) and kind not in kinds:
            message = f"no port that this VirtualService is for takes {kind} rules, so these are never used"
            hint = f"the ports take {' and '.join(sorted(kinds))} rules, by their protocols"
            report.warning("ref-rules", message, kind, hint=hint, key=True)
    ports |= index.sidecar_ports
    for path, match in matches(policy.spec):
        if match.port and match.port not in ports:
            message = f"nothing under this VirtualService comes in at port {match.port}, so this never matches"
            known = ", ".join(map(str, sorted(ports)))
            report.warning("ref-port", message, *path, "port", hint=f"the ports are {known}")


def _of_server(server: Server) -> Carried | None:
    """The rules that a Gateway's server uses; None for one that only redirects."""
    protocol, tls = server.port.protocol, server.tls
    if protocol.is_http:
        return None if tls is not None and tls.https_redirect else Carried.HTTP
    if protocol.is_tls and (tls is None or tls.mode is ServerTLSMode.PASSTHROUGH):
        return Carried.TLS
    return Carried.HTTP if protocol == "HTTPS" else Carried.TCP
