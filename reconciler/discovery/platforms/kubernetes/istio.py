"""Istio's own objects in a cluster, for a one-time import: read once, and never followed.

Knows Istio's and the Gateway API's groups by name, and takes from whoever asks which kinds are wanted: what those mean is not
known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from reconciler.clock import Clock
from reconciler.discovery.platforms.failures import AnswerError
from reconciler.discovery.platforms.kubernetes.access import Access
from reconciler.discovery.platforms.kubernetes.adapter import require_client
from reconciler.discovery.platforms.kubernetes.api import Api, Patience, StatusError
from reconciler.discovery.platforms.kubernetes.calls import Calls
from reconciler.discovery.platforms.kubernetes.listing import listed
from reconciler.errors import PermanentError

NETWORKING = "networking.istio.io"
_VERSIONS = ("v1", "v1beta1", "v1alpha3")
_GATEWAY_API = "gateway.networking.k8s.io"
_REGISTERED = "istio.io/autoRegistrationGroup"


class NoIstioError(PermanentError):
    """The cluster has none of Istio's traffic rules: their definitions are not installed."""

    default_code = "import-no-istio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One object, without what only its API server knows.

    Attributes:
        api_version: As it was listed.
        spec: Plain JSON values.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Objects that are in the cluster, and not wanted.

    Attributes:
        count: How many; None if they may not be read.
        why: "" where nobody asked for the kind.
    """

    kind: str
    group: str
    count: int | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What there is: objects by kind, namespace and name."""

    objects: tuple[Exported, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    group: str
    version: str
    kind: str
    plural: str

    def paths(self, namespaces: Sequence[str]) -> list[str]:
        base = f"/apis/{self.group}/{self.version}"
        return [f"{base}/namespaces/{each}/{self.plural}" for each in namespaces] or [f"{base}/{self.plural}"]


def survey(*, kubeconfig: str, context: str, namespaces: Sequence[str], kinds: Collection[str], clock: Clock) -> Survey:
    """Read all of Istio's objects.

    Args:
        kubeconfig: Path; the environment's or the pod's own account if "".
        context: Of the kubeconfig; its current one if "".
        namespaces: Only these; all if there are none.
        kinds: Of `networking.istio.io`: those that are wanted.
        clock: For the age of credentials.

    Raises:
        ExtraError: The official client is not installed.
        AdapterError: The cluster can't be read.
        NoIstioError: It has none of the kinds.
    """
    require_client()
    calls = Calls()
    api = Api(Access(kubeconfig=kubeconfig, context=context, clock=clock), calls=calls, patience=Patience())
    try:
        return _survey(api, tuple(dict.fromkeys(namespaces)), kinds, clock)
    finally:
        api.close()


def _survey(api: Api, namespaces: Sequence[str], kinds: Collection[str], clock: Clock) -> Survey:
    known = list(_known(api))
    wanted = [each for each in known if each.group == NETWORKING and each.kind in kinds]
    if not wanted:
        raise NoIstioError(f"the cluster has no {NETWORKING}", hint="is it the right context? name it with --context")
    objects, registered = [], 0
    for each in wanted:
        for item in _items(api, each, namespaces, clock):
            exported, is_registered = _exported(item, each)
            if is_registered:
                registered += 1
            else:
                objects.append(exported)
    left = [_left(api, each, namespaces, clock) for each in known if each not in wanted]
    if registered:
        why = "Istio makes them for workloads that register, and takes them away"
        left.append(Left(kind="WorkloadEntry", group=NETWORKING, count=registered, why=why))
    objects.sort(key=lambda each: (each.kind, each.namespace, each.name))
    found = sorted((each for each in left if each.count != 0), key=lambda each: (each.group, each.kind))
    return Survey(objects=tuple(objects), left=tuple(found))


def _known(api: Api) -> Iterator[_Kind]:
    """Kinds in Istio's groups and the Gateway API's, each in the first version that has it: `v1` before others in Istio's."""
    for group in _list(api.get("/apis"), "groups"):
        name = group.get("name")
        if not isinstance(name, str) or not (name.endswith("istio.io") or name == _GATEWAY_API):
            continue
        versions = [str(each.get("version")) for each in _list(group, "versions")]
        seen: set[str] = set()
        for version in sorted(
            versions, key=lambda each: _VERSIONS.index(each) if each in _VERSIONS else len(_VERSIONS)
        ):
            for resource in _list(api.get(f"/apis/{name}/{version}"), "resources"):
                kind, plural = str(resource.get("kind")), str(resource.get("name"))
                if kind not in seen and "/" not in plural and resource.get("namespaced"):
                    seen.add(kind)
                    yield _Kind(name, version, kind, plural)


def _items(api: Api, kind: _Kind, namespaces: Sequence[str], clock: Clock) -> Iterator[Mapping[str, Any]]:
    def wait(seconds: float) -> bool:
        clock.sleep(seconds)
        return False

    for path in kind.paths(namespaces):
        found: list[Mapping[str, Any]] = []
        for page in listed(api, path, wait=wait):
            found = [*([] if page.first else found), *page.items]
        yield from found


def _left(api: Api, kind: _Kind, namespaces: Sequence[str], clock: Clock) -> Left:
    try:
        count: int | None = sum(1 for _ in _items(api, kind, namespaces, clock))
    except StatusError as error:
        if error.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise
        count = None
    return Left(kind=kind.kind, group=kind.group, count=count)


def _exported(item: Any, kind: _Kind) -> tuple[Exported, bool]:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    spec = item.get("spec") or {} if isinstance(item, dict) else None
    if not isinstance(metadata, dict) or not isinstance(spec, dict) or not isinstance(metadata.get("name"), str):
        raise AnswerError(f"the cluster lists a {kind.kind} that is none", hint="is it an API server that is asked?")
    exported = Exported(
        api_version=f"{kind.group}/{kind.version}",
        kind=kind.kind,
        namespace=str(metadata.get("namespace") or "default"),
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        spec=spec,
    )
    return exported, _REGISTERED in (metadata.get("annotations") or {})


def _list(document: Any, field: str) -> list[Mapping[str, Any]]:
    found = document.get(field) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise AnswerError("the API server does not say what it has", hint="is it an API server that is asked?")
    return found
