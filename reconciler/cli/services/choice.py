"""Which services are shown: by host, by registry, by caller, or only where something is not well. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from reconciler.cli.services.inventory import counted
from reconciler.errors import InputError, UsageError
from reconciler.model.hosts import fqdn
from reconciler.model.key import Key
from reconciler.policy.findings import close

_NEAR = 3
_WILD = frozenset("*?[")


class UnknownServiceError(InputError):
    """Neither Git nor a registry has a service of this name."""

    default_code = "service-unknown"


def chosen(
    document: Mapping[str, Any], hosts: Sequence[str], *, namespace: str, registry: str = "", proxy: str = ""
) -> dict[str, Any]:
    """The document with the services that were asked for, and nothing about others.

    Args:
        document: All services.
        hosts: Hosts as in policies, or patterns with `*` and `?`; all services if empty.
        namespace: What short hosts are completed with.
        registry: Only services that this registry lists; "" for all.
        proxy: Only services that this proxy may call; "" for all.

    Raises:
        UnknownServiceError: A host is none, or nothing matches a pattern.
        UsageError: There is no such registry or proxy.
    """
    services, unused = document["services"], document["unused"]
    if registry:
        services, unused = _listed(document, registry)
    if proxy:
        services, unused = _callable(document, services, proxy), []
    if hosts:
        wanted = {host for text in hosts for host in _hosts(document, text, namespace)}
        services = [item for item in services if item["host"] in wanted]
        unused = []
    return {**document, "services": services, "unused": unused}


def instances_of(document: Mapping[str, Any], registry: str) -> dict[str, Any]:
    """The document with the instances that one registry lists, and no others."""
    services = []
    for item in document["services"]:
        endpoints = [endpoint for endpoint in item["endpoints"] if endpoint["registry"] == registry]
        services.append({**item, "endpoints": endpoints, "counts": counted(item["health"] for item in endpoints)})
    return {**document, "services": services}


def unwell_only(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the services that have no instance, or one that is not well; and of their instances only those."""
    services = [
        {**item, "endpoints": [endpoint for endpoint in item["endpoints"] if not well(endpoint)]}
        for item in document["services"]
        if _unwell(item)
    ]
    return {**document, "services": services}


def _unwell(item: Mapping[str, Any]) -> bool:
    static = item["resolution"] == "STATIC"  # others have names, which callers look up
    if (static and not item["endpoints"]) or not all(map(well, item["endpoints"])):
        return True
    return any(static or other["troubles"] for other in item["others"])


def well(endpoint: Mapping[str, Any]) -> bool:
    """Whether an instance's platform calls it healthy, and every caller that answered has it and nothing against it."""
    seen = endpoint["seen"]
    return endpoint["health"] == "healthy" and (seen is None or (not seen["lacking"] and not seen["troubles"]))


def _hosts(document: Mapping[str, Any], text: str, namespace: str) -> Iterable[str]:
    """The hosts that one argument names."""
    known = [str(item["host"]) for item in document["services"]]
    full = fqdn(text, namespace=namespace, domain=document["domain"])
    for host in (text, full, text.lower(), full.lower()):
        if host in known:
            return [host]
    suffix = f".svc.{document['domain']}"
    if not _WILD.isdisjoint(text):
        found = [host for host in known if fnmatchcase(host, text) or fnmatchcase(host.removesuffix(suffix), text)]
        if found:
            return found
    if text + suffix in known:
        return [text + suffix]
    raise _unknown(document, text, full, known)


def _unknown(document: Mapping[str, Any], text: str, full: str, known: Sequence[str]) -> UnknownServiceError:
    unused = next((item for item in document["unused"] if item["host"] in {text, full}), None)
    if unused is not None:
        return UnknownServiceError(
            f"{unused['host']} is listed by {', '.join(unused['registries'])}, and nobody says its ports",
            hint="declare them in a ServiceEntry of this host, or where the registry is described in Mesh.discovery",
        )
    first = text.partition(".")[0]
    elsewhere = [host for host in known if host.partition(".")[0] == first]
    near = f"did you mean {' or '.join(elsewhere[:_NEAR])}?" if elsewhere else close(full, frozenset(known))
    hint = near or "`reconcile services` lists all of them"
    return UnknownServiceError(f"there is no service {text}", hint=hint)


def _listed(document: Mapping[str, Any], registry: str) -> tuple[list[dict[str, Any]], list[Any]]:
    names = [str(item["registry"]) for item in document["registries"]]
    if registry not in names:
        raise UsageError(f"no registry here is called {registry}", hint=_there_is(names, "registries", registry))
    mine = ([item for item in document[what] if registry in item["registries"]] for what in ("services", "unused"))
    services, unused = mine
    return services, unused


def _callable(document: Mapping[str, Any], services: Iterable[dict[str, Any]], proxy: str) -> list[dict[str, Any]]:
    name = str(Key.parse(proxy))
    entry = next((item for item in document["proxies"] if item["proxy"] == name), None)
    if entry is None:
        names = [Key.parse(item["proxy"]).short() for item in document["proxies"]]
        raise UsageError(f"no proxy here is called {proxy}", hint=_there_is(names, "proxies", Key.parse(proxy).short()))
    if not entry["configured_here"]:
        raise UsageError(
            f"what {proxy} may call is known to whoever configures it: only its weights are pushed from here",
            hint="name a proxy with `push: {ads: {}}` or `push: {files: ...}`",
        )
    return [item for item in services if name in item["callers"]["proxies"]]


def _there_is(names: Sequence[str], what: str, wanted: str) -> str:
    if not names:
        return f"there are no {what}"
    near = get_close_matches(wanted, names, n=_NEAR)
    return f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(names[:10])}"
