"""States as files: which resources each file of a proxy's directory holds, and its bytes. Pure; `files` writes them.

The version that Envoy shows for a file is the resource's own for a file of one, and the version of the set for `cds.pb` and
`lds.pb`: the same values that the cheap reading of the admin endpoint is compared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.model.files import SUFFIX, file_name, path_of
from reconciler.model.protos import encode
from reconciler.model.resource import Resource, ResourceId, ResourceType, set_version
from reconciler.push.phases import State
from reconciler.xds import Fresh

SETS = (ResourceType.CLUSTER, ResourceType.LISTENER)
"""Types that Envoy subscribes to as a whole: one file, and one version, for all."""

_SHORTENED = re.compile(r"%~[0-9a-f]{32}$")


@dataclass(frozen=True, slots=True)
class Content:
    """What one file holds; equal contents are equal bytes.

    Attributes:
        name: The resource's, or "" for a file of a whole set.
        resources: Sorted by id.
    """

    type: ResourceType
    name: str
    resources: tuple[Resource, ...]

    @property
    def version(self) -> str:
        """What Envoy will show as `version_text`."""
        return set_version(self.resources) if self.type in SETS else self.resources[0].version

    @property
    def moves(self) -> bool:
        """Whether it changes without a push."""
        return len(self.resources) == 1 and self.resources[0].recipe is not None

    def newest(self, fresh: Fresh) -> Content:
        """The same with the endpoints that are known now."""
        return replace(self, resources=(fresh(self.resources[0]),)) if self.moves else self

    def render(self) -> bytes:
        """A binary DiscoveryResponse; deterministic."""
        response = DiscoveryResponse(version_info=self.version, type_url=self.type.type_url)
        for item in self.resources:
            response.resources.add(type_url=self.type.type_url, value=item.body)
        return encode(response)


Layout = Mapping[str, Content]
"""Contents by path."""


def contents(directory: str, state: State) -> Layout:
    """Every file of a state by its path. The two sets are always there, empty or not: Envoy won't start without them."""
    ordered = [state[id_] for id_ in sorted(state)]
    found = {path_of(directory, ResourceId(type_, "")): _content(ordered, type_) for type_ in SETS}
    for item in ordered:
        if item.id.type not in SETS:
            found[path_of(directory, item.id)] = Content(item.id.type, item.id.name, (item,))
    return found


def is_ours(file: str) -> bool:
    """Whether a file name in `routes/`, `endpoints/` or `secrets/` is one that a resource's name would give."""
    stem = file.removesuffix(SUFFIX)
    if not stem or stem == file:
        return False
    return bool(_SHORTENED.search(stem)) or file_name(unquote(stem, errors="surrogateescape")) == stem


def _content(ordered: Iterable[Resource], type_: ResourceType) -> Content:
    return Content(type_, "", tuple(item for item in ordered if item.id.type is type_))
