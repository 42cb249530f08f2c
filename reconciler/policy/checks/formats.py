"""The forms of names, hosts, labels and addresses, as Kubernetes and Istio have them."""

from __future__ import annotations

import ipaddress
import re

from reconciler.model.hosts import is_address

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_PORT_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,60}[a-zA-Z0-9])?\Z")
_SUBSET = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\Z")
_CIDR = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}\Z")
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+\Z")
_WILDCARD = re.compile(r"\A\*[-.]?")
"""How a host may begin: `*.example.com`, and as in Istio `*-a.example.com` and `*a.example.com`."""
_ENDPOINT = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^:/?#\[\]@\s]+)):(?P<port>[0-9]{1,5})\Z")
_MAX_NAME = 253
_MAX_SOCKET = 107
"""Bytes in the path of a Unix socket, by Linux: 108 with a NUL. An Envoy with a longer one doesn't start, or drops a cluster."""
_MAX_PORT = 65535
_LOCALITY_PARTS = 3

NAME_HINT = "lower-case letters, digits and '-', beginning and ending with a letter or digit"
LABEL_HINT = "at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
HOST_HINT = "write a host name in lower case, like reviews, reviews.default.svc.cluster.local or *.example.com"


def is_label(text: str) -> bool:
    """A DNS label (RFC 1123): a namespace, a subset's name, a service's short name."""
    return bool(_LABEL.match(text))


def is_name(text: str) -> bool:
    """A DNS subdomain (RFC 1123): a document's name."""
    return len(text) <= _MAX_NAME and all(is_label(part) for part in text.split("."))


def is_subset_name(text: str) -> bool:
    """A subset's name: a label that may have capitals, as Istio's own reading of RFC 1123 has it."""
    return bool(_SUBSET.match(text))


def is_token(text: str) -> bool:
    """What HTTP lets a header or a cookie be called (RFC 9110, token)."""
    return bool(_TOKEN.match(text))


def is_network(text: str) -> bool:
    """An IP address, or a block of them like `10.0.0.0/8`; bits behind the prefix may be set, as in Istio."""
    if "/" not in text:
        return is_address(text)
    if not _CIDR.match(text):
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


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


def host_problem(
    host: str, *, wildcard: bool = True, address: bool = False, alone: bool = True, partial: bool = True
) -> str:
    """What is wrong with a host, or "".

    Args:
        host: The text.
        wildcard: Whether `*.example.com` is allowed.
        address: Whether an IP address is.
        alone: Whether `*` alone is.
        partial: Whether `*a.example.com` is: not where a server name decides, Envoy matches those by whole labels.
    """
    if host == "*":
        return "" if wildcard and alone else "the host can't be *"
    if is_address(host):
        return "" if address else f"{host!r} is an address; a host name is needed"
    if host.startswith("*") and not wildcard:
        return f"{host!r} can't be used here: wildcards are not allowed"
    if host.startswith("*") and not host.startswith("*.") and not partial:
        return f"{host!r} can't be used here: a wildcard stands for whole labels, like *.example.com"
    name = _WILDCARD.sub("", host).removesuffix(".")
    if not is_name(name) or name.rpartition(".")[2].isdigit():
        return f"{host!r} is not a host name" if host else "a host must not be empty"
    return ""


def full_host_problem(host: str, *, address: bool = False) -> str:
    """What is wrong with a host where short names mean nothing, or ""."""
    problem = host_problem(host, address=address, partial=False)
    if not problem and "." not in host and ":" not in host and host != "*":
        return f"{host!r} is a short name; a full name is needed"
    return problem


def scoped_host_problem(text: str, *, namespaces: frozenset[str] = frozenset({"*", "."}), address: bool = False) -> str:
    """What is wrong with `namespace/host`, or ""; `namespaces` lists the special ones that are allowed."""
    namespace, slash, host = text.partition("/")
    if not slash:
        return f"{text!r} is not of the form namespace/host"
    if namespace not in namespaces and not is_label(namespace):
        return f"{namespace!r} is not a namespace"
    return full_host_problem(host, address=address)


def socket_problem(text: str) -> str:
    """What is wrong with `unix:///path` or `unix://@name` (an abstract socket, Linux), or ""."""
    path = text.removeprefix("unix://")
    if path.startswith("@"):
        return "" if len(path) > 1 and fits_socket(path) else f"{text!r} is not the name of a socket"
    if not path.startswith("/") or path.endswith("/"):
        return f"{text!r} is not the path of a socket"
    return "" if fits_socket(path) else "the path of the socket has more than 107 bytes, which no system takes"


def locality_problem(text: str) -> str:
    """What is wrong with `region/zone/subzone`, or ""; the last one or two may be left out."""
    parts = text.split("/")
    if len(parts) > _LOCALITY_PARTS or not all(parts):
        return f"{text!r} is not of the form region/zone/subzone"
    return ""


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
