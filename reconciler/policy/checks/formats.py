"""The forms of names, hosts, labels and addresses, as Kubernetes and Istio have them."""

from __future__ import annotations

import re

from reconciler.model.hosts import is_address

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_PORT_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,60}[a-zA-Z0-9])?\Z")
_WILDCARD = re.compile(r"\*[-.]?")
"""How a host may begin: `*.example.com`, and as in Istio `*-a.example.com` and `*a.example.com`."""
_ENDPOINT = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^:/?#\[\]@\s]+)):(?P<port>[0-9]{1,5})\Z")
_MAX_NAME = 253
_MAX_SOCKET = 107
"""Bytes in the path of a Unix socket, by Linux: 108 with a NUL. An Envoy with a longer one doesn't start, or drops a cluster."""
_MAX_PORT = 65535

NAME_HINT = "lower-case letters, digits and '-', beginning and ending with a letter or digit"
LABEL_HINT = "at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
HOST_HINT = "write a host name in lower case, like reviews, reviews.default.svc.cluster.local or *.example.com"


def is_label(text: str) -> bool:
    """A DNS label (RFC 1123): a namespace, a subset's name, a service's short name."""
    return bool(_LABEL.match(text))


def is_name(text: str) -> bool:
    """A DNS subdomain (RFC 1123): a document's name."""
    return len(text) <= _MAX_NAME and all(is_label(part) for part in text.split("."))


def is_port_name(text: str) -> bool:
    """A port's name, by the pattern of Istio's CRDs."""
    return bool(_PORT_NAME.match(text))


def label_problem(name: str, value: str) -> str:
    """What is wrong with a Kubernetes label, or ""."""
    prefix, slash, last = name.rpartition("/")
    if not _LABEL_PART.match(last) or (slash and not is_name(prefix)):
        return f"{name!r} is not a valid label name"
    if value and not _LABEL_PART.match(value):
        return f"{value!r} is not a valid label value"
    return ""


def host_problem(host: str, *, wildcard: bool = True, address: bool = False, alone: bool = True) -> str:
    """What is wrong with a host, or "".

    Args:
        host: The text.
        wildcard: Whether `*.example.com` is allowed.
        address: Whether an IP address is.
        alone: Whether `*` alone is.
    """
    if not host:
        return "a host must not be empty"
    if host == "*":
        return "" if wildcard and alone else "the host can't be *"
    if is_address(host):
        return "" if address else f"{host!r} is an address; a host name is needed"
    if host.startswith("*") and not wildcard:
        return f"{host!r} can't be used here: wildcards are not allowed"
    name = _WILDCARD.sub("", host).removesuffix(".")
    if not is_name(name) or name.rpartition(".")[2].isdigit():
        return f"{host!r} is not a host name"
    return ""


def scoped_host_problem(text: str, *, namespaces: frozenset[str] = frozenset({"*", "."})) -> str:
    """What is wrong with `namespace/host`, or ""; `namespaces` lists the special ones that are allowed."""
    namespace, slash, host = text.partition("/")
    if not slash:
        return f"{text!r} is not of the form namespace/host"
    if namespace not in namespaces and not is_label(namespace):
        return f"{namespace!r} is not a namespace"
    return host_problem(host)


def fits_socket(path: str) -> bool:
    """Whether a path is short enough for a Unix socket."""
    return len(path.encode()) <= _MAX_SOCKET


def endpoint(text: str) -> tuple[str, int] | None:
    """`host:port` or `[IPv6]:port` in parts, or None if it is neither."""
    found = _ENDPOINT.match(text)
    if found is None:
        return None
    host, port = found["six"] or found["host"], int(found["port"])
    if not 1 <= port <= _MAX_PORT or (found["six"] and not is_address(host)):
        return None
    return host, port
