"""The stage discover: proxies that announce themselves on ADS, as members of the mesh. What Git says of a proxy goes first.

What a stranger says is checked like a document, and by itself moves nothing of anybody else's: one that can't be a member is
left out and named.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from reconciler.errors import Diagnostic, Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.proxy import AdsPush, Client, Proxy, Push
from reconciler.policy import check_announced
from reconciler.xds import Announcement

_ORIGIN = Origin("", 0)
_HINT = "mend its bootstrap (`reconcile bootstrap` prints one), or write a Proxy document for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A mesh with those who joined it.

    Attributes:
        strangers: Who is connected and no member, and why; warnings.
    """

    mesh: Mesh
    members: frozenset[Key] = frozenset()
    strangers: tuple[Diagnostic, ...] = ()


def join(mesh: Mesh, announced: Sequence[Announcement]) -> Joined:
    """The mesh with every announced proxy that can be a member. The same objects give the same members."""
    declared = {proxy.key: proxy for proxy in mesh.proxies}
    owned = {(proxy.key.namespace, proxy.spec.workload) for proxy in mesh.proxies if proxy.spec.workload}
    admins = {_plain(proxy.spec.admin) for proxy in mesh.proxies if proxy.spec.admin}
    workloads = {policy.key for policy in mesh.workload_entries}
    members: list[Policy[Proxy]] = []
    strangers: list[Diagnostic] = []
    for said in sorted(announced, key=lambda item: item.key):
        if said.key in declared:
            if declared[said.key].spec.push.ads is None:
                strangers.append(_stranger(said, "its Proxy says that it is pushed to in another way"))
            continue
        spec = _spec(said, _believed(said, mesh.settings.admin_allow))
        problem = _problem(spec, said.key.namespace, owned, workloads)
        if problem:
            strangers.append(_stranger(said, problem))
            continue
        if said.admin and said.client is Client.ENVOY and (not spec.admin or _plain(spec.admin) in admins):
            strangers.append(_unbelieved(said, taken=bool(spec.admin)))
            spec = spec.model_copy(update={"admin": ""})
        if spec.admin:
            admins.add(_plain(spec.admin))
        if spec.workload:
            owned.add((said.key.namespace, spec.workload))
        members.append(Policy(kind="Proxy", key=said.key, spec=spec, origin=_ORIGIN))
    if not members:
        return Joined(mesh=mesh, strangers=tuple(strangers))
    everybody = tuple(sorted((*mesh.proxies, *members), key=lambda policy: policy.key))
    return Joined(
        mesh=replace(mesh, proxies=everybody),
        members=frozenset(policy.key for policy in members),
        strangers=tuple(strangers),
    )


def left_out(members: Iterable[Key], errors: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Why none of the announced proxies is a member: with them the mesh has errors that it doesn't have without."""
    names = ", ".join(map(str, sorted(members)))
    return (
        Diagnostic(
            code="ads-stranger",
            message=f"the announced proxies {names} are left out: with them, {errors[0].message}",
            severity=Severity.WARNING,
            hint=_HINT,
        ),
    )


def _problem(spec: Proxy, namespace: str, owned: set[tuple[str, str]], workloads: set[Key]) -> str:
    """Why a proxy can't be a member, or ""."""
    found = check_announced(spec)
    if found:
        return found
    if spec.workload and Key(namespace, spec.workload) not in workloads:
        return f"there is no WorkloadEntry {namespace}/{spec.workload}, which it says it belongs to"
    if spec.workload and (namespace, spec.workload) in owned:
        return f"the workload {namespace}/{spec.workload}, which it says it belongs to, has a proxy already"
    return ""


def _spec(said: Announcement, admin: str) -> Proxy:
    return Proxy(
        workload=said.workload,
        labels=dict(said.labels),
        locality="" if said.workload else said.locality,
        admin=admin if said.client is Client.ENVOY else "",
        push=Push(ads=AdsPush(client=said.client)),
    )


def _believed(said: Announcement, allowed: Iterable[str]) -> str:
    """The announced admin address, if it is the peer's own or an allowed one: else anybody could send us anywhere."""
    if said.admin.startswith("unix://"):
        local = not said.address or ipaddress.ip_address(said.address).is_loopback
        return said.admin if local else ""
    try:
        host = urlsplit(said.admin).hostname or ""
        place = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return ""
    own = said.address and place == ipaddress.ip_address(said.address)
    return said.admin if own or any(place in ipaddress.ip_network(item) for item in allowed) else ""


def _plain(admin: str) -> str:
    return admin.removesuffix("/").lower()


def _stranger(said: Announcement, why: str) -> Diagnostic:
    return Diagnostic(
        code="ads-stranger",
        message=f"{said.key} has announced itself and is sent nothing: {why}",
        severity=Severity.WARNING,
        hint=_HINT,
    )


def _unbelieved(said: Announcement, *, taken: bool) -> Diagnostic:
    why = "which is another proxy's" if taken else f"and connects from {said.address or 'this machine'}"
    return Diagnostic(
        code="ads-admin",
        message=f"{said.key} announces the admin endpoint {said.admin!r}, {why}: it is not asked, and counts at `acked`",
        severity=Severity.WARNING,
        hint="list its address in Mesh.adminAllow if it is to be believed",
    )


def same(before: Mapping[Key, Announcement], after: Iterable[Announcement]) -> dict[Key, Announcement] | None:
    """The announcements by key; None if they say what they said before. Who is connected right now is not the question."""
    found = {item.key: replace(item, connected=True) for item in after}
    return None if found == before else found
