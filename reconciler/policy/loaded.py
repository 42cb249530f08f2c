"""What loading comes to: a value, so that the cache can hold it without knowing how it is made."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reconciler.errors import Diagnostic, Severity
from reconciler.model.mesh import Mesh
from reconciler.model.services import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What one tree says.

    Attributes:
        mesh: None if and only if there is an error.
        services: What `model.services.declared` finds in the mesh; none without one.
        templates: Text by file name (`cluster.yaml`): the house defaults with the tree's overrides.
        diagnostics: Everything found, in the order in which it is printed.
        awaited: Those of them, warnings, that hold only as long as no registry lists a host, by that host in full.
    """

    mesh: Mesh | None
    services: tuple[Service, ...] = ()
    templates: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    diagnostics: tuple[Diagnostic, ...] = ()
    awaited: Mapping[str, tuple[Diagnostic, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What has to be mended."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is probably not meant."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.WARNING)

    def besides(self, listed: Container[str]) -> tuple[Diagnostic, ...]:
        """The diagnostics that are left where registries list these hosts."""
        void = {item for host, items in self.awaited.items() if host in listed for item in items}
        return tuple(item for item in self.diagnostics if item not in void) if void else self.diagnostics
