"""Which adapter a registry of `Mesh.discovery` gets: ours by their field, others by the entry point that their package has.

Adapters are imported when they are made: what nobody uses costs nothing, and need not be installed.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, cast

from reconciler.discovery.contract import Adapter, Surroundings
from reconciler.errors import InputError
from reconciler.model.discovery import KINDS, Plugin, Registry
from reconciler.model.spec import Spec

GROUP = "reconciler.discovery"
"""Group of entry points: `<name> = "<module>:<callable>"`, called with the settings and the Surroundings."""
_PLATFORMS = "reconciler.discovery.platforms"
_MODULES = {"file_sd": "prometheus.file_sd", "http_sd": "prometheus.http_sd"}
"""Where the adapter of a field is, if not in a module of its name."""


class KindError(InputError):
    """A registry of the mesh is of no kind, or of more than one."""

    default_code = "discovery-kind"


class PluginError(InputError):
    """No installed package brings the adapter that a registry asks for, or what it brings can't be imported."""

    default_code = "discovery-plugin"


class SettingsError(InputError):
    """An adapter does not take its settings."""

    default_code = "discovery-settings"


def kind(registry: Registry) -> str:
    """`kubernetes`, `consul`, ...; a plugin's own name."""
    return registry.plugin.adapter if registry.plugin is not None else _field(registry)


def digest(registry: Registry, *, domain: str) -> str:
    """Of all that its adapter is made from. How much the registry is believed is no part of it, and may change while it runs."""
    name = _field(registry)
    spec: Spec = getattr(registry, name)
    text = f"{registry.name}\n{name}\n{domain}\n{spec.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def adapter(registry: Registry, around: Surroundings) -> Adapter:
    """Make the adapter of a registry.

    Raises:
        KindError: It is of no kind, or of several.
        PluginError: There is no such plugin.
        SettingsError: The adapter does not take its settings.
        InputError: The adapter lacks something, such as a package of Python.
    """
    name = _field(registry)
    spec = getattr(registry, name)
    try:
        if isinstance(spec, Plugin):
            return _plugin(spec)(spec.settings, around)
        build: Callable[[Spec, Surroundings], Adapter] = importlib.import_module(
            f"{_PLATFORMS}.{_MODULES.get(name, name)}"
        ).build
        return build(spec, around)
    except ValueError as error:
        raise SettingsError(
            f"the adapter of registry {registry.name!r} does not take its settings: {error}",
            hint=f"mend the registry's `{name}` in Mesh.discovery",
        ) from error


def _field(registry: Registry) -> str:
    given = [name for name in KINDS if getattr(registry, name) is not None]
    if len(given) != 1:
        raise KindError(
            f"registry {registry.name!r} has {' and '.join(given) or 'no kind'}, and needs exactly one",
            hint=f"write one of {', '.join(KINDS)}",
        )
    return given[0]


def _plugin(spec: Plugin) -> Callable[[Mapping[str, Any], Surroundings], Adapter]:
    found = {point.name: point for point in entry_points(group=GROUP)}
    point = found.get(spec.adapter)
    if point is None:
        raise PluginError(
            f"no installed package brings an adapter {spec.adapter!r}; there are {', '.join(sorted(found)) or 'none'}",
            hint=f"install the package beside the daemon, or check its entry point in the group {GROUP!r}",
        )
    try:
        return cast("Callable[[Mapping[str, Any], Surroundings], Adapter]", point.load())
    except Exception as error:  # whatever another package does when it is imported
        raise PluginError(
            f"the package of the adapter {spec.adapter!r} can't be imported: {type(error).__name__}: {error}",
            hint=f"mend or reinstall the package that brings {point.value}",
        ) from error
