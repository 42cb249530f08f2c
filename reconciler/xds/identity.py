"""Who a peer is: what it says, held against its certificate. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.model.proxy import Client
from reconciler.settings import DEFAULT_IDENTITY
from reconciler.xds.state import Announcement
from reconciler.xds.subscription import RequestError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_PEER = re.compile(r"ipv[46]:(?:\[(?P<six>[^\]]+)\]|(?P<four>[^:\[\]]+)):(?P<port>\d+)")
_LABELS = 64
_TEXT = 512


class IdentityError(Exception):
    """A peer claims to be a proxy that its certificate does not name."""


class Identities:
    """Which proxies a certificate speaks for.

    Args:
        templates: Forms of subject alternative names, with `{namespace}` and `{name}`, and `*` for any part without a slash. One
            without `{name}` speaks for a whole namespace.

    Raises:
        UsageError: A template names nobody.
    """

    def __init__(self, templates: Iterable[str] = (DEFAULT_IDENTITY,)) -> None:
        self._forms = [_form(template) for template in templates]

    def check(self, key: Key, names: Iterable[str]) -> None:
        """Hold a claim against the names of a certificate.

        Raises:
            IdentityError: None of them is this proxy's.
        """
        found = list(names)
        for form in self._forms:
            for name in found:
                match = form.fullmatch(name)
                if match and all(getattr(key, part) == value for part, value in match.groupdict().items()):
                    return
        shown = ", ".join(found) or "no names"
        raise IdentityError(f"the certificate of {shown} does not speak for the proxy {key}")


def announcement(node: Any, *, peer: str) -> Announcement:
    """What a peer says about itself in `envoy.config.core.v3.Node`.

    The metadata's `namespace` and `name` say who it is; without them, `id` as `namespace/name`, or a name alone.

    Raises:
        RequestError: It does not say who it is.
    """
    metadata = node.metadata.fields
    name, namespace = _text(metadata, "name"), _text(metadata, "namespace")
    if not name:
        if not node.id:
            raise RequestError("the node has no id: its bootstrap has to say which proxy it is")
        space, _, name = node.id.rpartition("/")
        namespace = namespace or space
    key = Key(namespace or "default", name)
    if not _NAME.fullmatch(key.name) or not _NAME.fullmatch(key.namespace):
        raise RequestError(f"the node's id {node.id[:_TEXT]!r} names no proxy: write it as namespace/name")
    place = node.locality
    return Announcement(
        key=key,
        workload=_text(metadata, "workload"),
        labels=_labels(metadata),
        locality="/".join(part for part in (place.region, place.zone, place.sub_zone) if part)[:_TEXT],
        admin=_text(metadata, "admin"),
        address=address_of(peer),
        client=Client.GRPC if node.user_agent_name.lower().startswith("grpc") else Client.ENVOY,
    )


def client_of(node: Any) -> str:
    """Name and version of the software: `envoy/1.40.0`."""
    built = node.user_agent_build_version.version
    version = node.user_agent_version or f"{built.major_number}.{built.minor_number}.{built.patch}"
    return f"{node.user_agent_name or 'unknown'}/{version}"[:_TEXT]


def address_of(peer: str) -> str:
    """The IP address in gRPC's name of a peer (`ipv4:127.0.0.1:41234`); "" for a Unix socket."""
    found = _PEER.fullmatch(unquote(peer))
    return (found["six"] or found["four"]) if found else ""


def place_of(peer: str) -> str:
    """A peer as people write it: `127.0.0.1:41234`."""
    return unquote(peer).partition(":")[2] or peer


def _form(template: str) -> re.Pattern[str]:
    if "{namespace}" not in template and "{name}" not in template:
        raise UsageError(
            f"the identity {template!r} names no proxy",
            hint=f"write {{namespace}} and {{name}} where they stand in the certificates: {DEFAULT_IDENTITY}",
        )
    parts = re.split(r"(\{namespace\}|\{name\}|\*)", template)
    forms = {"{namespace}": r"(?P<namespace>[^/]+)", "{name}": r"(?P<name>[^/]+)", "*": r"[^/]*"}
    try:
        return re.compile("".join(forms.get(part) or re.escape(part) for part in parts))
    except re.error as error:
        raise UsageError(f"the identity {template!r} can't be used: {error}") from error


def _text(fields: Any, name: str) -> str:
    """A string in a `google.protobuf.Struct`; "" for anything else, which may be a number that JSON has no form for."""
    return fields[name].string_value[:_TEXT] if name in fields else ""


def _labels(metadata: Any) -> Mapping[str, str]:
    fields = metadata["labels"].struct_value.fields if "labels" in metadata else {}
    texts = [name for name in sorted(fields) if fields[name].WhichOneof("kind") == "string_value"]
    return MappingProxyType({name[:_TEXT]: _text(fields, name) for name in texts[:_LABELS]})
