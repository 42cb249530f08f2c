"""TLS certificates as Envoy gets them: secrets that name files on the proxy's own host, and never what is in those.

Whoever compiles a TLS context makes these, refers to them by `name`, and puts `secret_resource` of each into the view. What
a secret holds follows from its name alone, so the same files are the same secret on every proxy, and one that is read
back from an Envoy, which shows the files' content instead of their names, can be told by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from reconciler.errors import BugError
from reconciler.model import protos
from reconciler.model.resource import Resource, ResourceType

_CERTIFICATE, _ROOT, _SEPARATOR = "file-cert:", "file-root:", "~"
_UNREADABLE = ("/dev/", "/proc/", "/sys/")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, to show to others.

    Envoy reads both anew whenever something is moved into the folder of `chain`, so a renewed pair is moved there, the key
    first (or a link to a folder with both is swapped, as Kubernetes does); see `docs/pushing.md`.

    Attributes:
        chain: An absolute path: PEM, the certificate first.
        key: An absolute path: PEM.

    Raises:
        BugError: A path is `unusable`; the policies are checked for that.
    """

    chain: str
    key: str

    def __post_init__(self) -> None:
        _check(self.files)

    @property
    def name(self) -> str:
        """As Istio names it: `file-cert:<chain>~<key>`."""
        return f"{_CERTIFICATE}{self.chain}{_SEPARATOR}{self.key}"

    @property
    def files(self) -> tuple[str, ...]:
        """What Envoy reads."""
        return self.chain, self.key

    def message(self) -> Secret:
        """A new protobuf."""
        secret = Secret(name=self.name)
        secret.tls_certificate.certificate_chain.filename = self.chain
        secret.tls_certificate.private_key.filename = self.key
        secret.tls_certificate.watched_directory.path = _folder(self.chain)
        return secret


@dataclass(frozen=True, slots=True)
class Root:
    """Certificates of the authorities to trust, and of what they have revoked.

    Envoy reads both anew whenever something is moved into the folder of `ca`.

    Attributes:
        ca: An absolute path: PEM.
        crl: An absolute path: PEM; "" for none.

    Raises:
        BugError: A path is `unusable`; the policies are checked for that.
    """

    ca: str
    crl: str = ""

    def __post_init__(self) -> None:
        _check(self.files)

    @property
    def name(self) -> str:
        """As Istio names it: `file-root:<ca>`, with `~<crl>` if there is one."""
        return f"{_ROOT}{_SEPARATOR.join(self.files)}"

    @property
    def files(self) -> tuple[str, ...]:
        """What Envoy reads."""
        return (self.ca, self.crl) if self.crl else (self.ca,)

    def message(self) -> Secret:
        """A new protobuf."""
        secret = Secret(name=self.name)
        secret.validation_context.trusted_ca.filename = self.ca
        if self.crl:
            secret.validation_context.crl.filename = self.crl
        secret.validation_context.watched_directory.path = _folder(self.ca)
        return secret


def secret_resource(item: Certificate | Root) -> Resource:
    """What a view has for it."""
    return protos.resource(ResourceType.SECRET, item.message())


def unusable(path: str) -> str:
    """Why a path can't be a secret's file, to follow the path in a message; "" if it can.

    Envoy splits nothing, but Istio's names separate files by `~`, and stats that carry the names are lines.
    """
    if not path.startswith("/") or path.endswith("/"):
        return "is not the absolute path of a file"
    if _SEPARATOR in path:
        return f"has a {_SEPARATOR} in it, which separates the files in a secret's name"
    if not path.isprintable():
        return "has characters in it that can't be printed"
    if path.startswith(_UNREADABLE):
        return "is in a folder that Envoy refuses to read certificates from"
    return ""


def parse(name: str) -> Certificate | Root | None:
    """What has this name; None for any other secret."""
    prefix = next((prefix for prefix in (_CERTIFICATE, _ROOT) if name.startswith(prefix)), "")
    match name.removeprefix(prefix).split(_SEPARATOR):
        case [first, second] if prefix and not (unusable(first) or unusable(second)):
            return Certificate(first, second) if prefix == _CERTIFICATE else Root(first, second)
        case [only] if prefix == _ROOT and not unusable(only):
            return Root(only)
    return None


def referenced(value: Any) -> Iterator[str]:
    """Names of the secrets that a message as JSON-like values (`protos.to_dict`, or a part of a dump) subscribes to."""
    if isinstance(value, list):
        for part in value:
            yield from referenced(part)
    elif isinstance(value, dict):
        if "sds_config" in value:
            yield str(value.get("name", ""))
        for part in value.values():
            yield from referenced(part)


def _check(files: tuple[str, ...]) -> None:
    for path in files:
        fault = unusable(path)
        if fault:
            raise BugError(f"{path!r} {fault}")


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"
