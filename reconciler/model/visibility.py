"""Who sees a policy: `exportTo` of services, VirtualServices and DestinationRules, after Istio."""

from __future__ import annotations

from collections.abc import Iterable

_ALL = "*"
_OWN = "."
_NOBODY = "~"

EVERYBODY = frozenset({_ALL})
"""What holds where `exportTo` is left out."""


def exported(export_to: Iterable[str], namespace: str) -> frozenset[str]:
    """The namespaces that an `exportTo` of a document of this namespace names; `*` for all, none for nobody."""
    listed = tuple(export_to)
    if not listed:
        return EVERYBODY
    return frozenset(namespace if item == _OWN else item for item in listed if item != _NOBODY)


def visible(exported_to: frozenset[str], namespace: str) -> bool:
    """Whether proxies of a namespace see what is exported so."""
    return _ALL in exported_to or namespace in exported_to
