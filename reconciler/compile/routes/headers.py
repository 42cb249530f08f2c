"""Header operations on the way to the destination and back.

Envoy takes headers away before it adds any, sets before it appends, and applies those of a split's share before those of
the route. Our order is the document's: `set`, `add`, `remove`, first of the rule and then of the share. So operations are
worked out here into lists for which both orders mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption

from reconciler.model.virtualservice import HeaderOperations, Headers

_AUTHORITY = frozenset({"host", ":authority"})


@dataclass(slots=True)
class _Outcome:
    """What is to become of the headers of one direction; names in lower case, as Envoy has them."""

    values: dict[str, str] = field(default_factory=dict)
    more: dict[str, list[str]] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)

    def apply(self, operations: HeaderOperations) -> None:
        for name, value in _sorted(operations.set):
            self.values[name] = value
            self.more.pop(name, None)
        for name, value in _sorted(operations.add):
            self.more.setdefault(name, []).append(value)
        for name in _plain(operations.remove):
            self.values.pop(name, None)
            self.more.pop(name, None)
            self.removed[name] = None


def fill_headers(target: Any, layers: Iterable[Headers | None]) -> None:
    """Set the header operations of a `Route` or `ClusterWeight`, of the outer layer first.

    `host` and pseudo-headers are left out: see `authority`.
    """
    request, response = _Outcome(), _Outcome()
    for headers in layers:
        if headers is not None:
            request.apply(headers.request or HeaderOperations())
            response.apply(headers.response or HeaderOperations())
    target.request_headers_to_add.extend(_options(request))
    target.request_headers_to_remove.extend(request.removed)
    target.response_headers_to_add.extend(_options(response))
    target.response_headers_to_remove.extend(response.removed)


def authority(headers: Headers | None) -> str:
    """What `host` or `:authority` is set to, or "". Of `set` and `add` the former counts, as in Istio."""
    if headers is None or headers.request is None:
        return ""
    for operations in (headers.request.set, headers.request.add):
        found = [value for name, value in sorted(operations.items()) if name.lower() in _AUTHORITY]
        if found:
            return found[-1]
    return ""


def differ(layers: Sequence[Headers | None]) -> bool:
    """Whether any of these does something."""
    return any(item is not None and (item.request is not None or item.response is not None) for item in layers)


def _plain(names: Iterable[str]) -> list[str]:
    lowered = (name.lower() for name in names)
    return [name for name in lowered if not name.startswith(":") and name not in _AUTHORITY]


def _sorted(values: Any) -> list[tuple[str, str]]:
    return [(name, values[spelled]) for spelled in sorted(values) for name in _plain([spelled])]


def _options(outcome: _Outcome) -> Iterable[Any]:
    """All that is set, then all that is added, each by name."""
    for name in sorted(outcome.values):
        yield _option(name, outcome.values[name], HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
    for name in sorted(outcome.more):
        for value in outcome.more[name]:
            yield _option(name, value, HeaderValueOption.APPEND_IF_EXISTS_OR_ADD)


def _option(name: str, value: str, action: Any) -> Any:
    option = HeaderValueOption(append_action=action)
    option.header.key = name
    option.header.value = value
    return option
