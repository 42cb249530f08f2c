"""Settings as options of verbs: one at a time, or all of them at once for the daemon."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from reconciler.cli.configuration import kinds
from reconciler.cli.configuration.table import Setting, table


def option(path: str) -> Any:
    """The option of a setting, for an annotation."""
    setting = table()[path]
    names = [setting.flag]
    if setting.kind is kinds.SWITCH:
        names = [f"{setting.flag}/--no-{setting.flag.removeprefix('--')}"]
    return typer.Option(
        *names, envvar=setting.variable, metavar=setting.metavar or None, help=setting.meaning.replace("`", "")
    )


def with_all_settings(verb: Callable[..., int]) -> Callable[..., int]:
    """A verb that takes every setting as an option, and gets what the command line said as `flags`, by path.

    The variables are shown with the options; who resolves settings reads them.
    """
    own = [item for item in inspect.signature(verb, eval_str=True).parameters.values() if item.name != "flags"]
    settings = {setting.parameter: setting for setting in table().values()}

    def taking(**given: Any) -> int:
        flags: dict[str, str] = {}
        for name, setting in settings.items():
            value = given.pop(name)
            if value is not None and value != []:
                flags[setting.path] = _text(value)
        return verb(**given, flags=flags)

    declared = [_parameter(setting) for setting in settings.values()]
    signature = inspect.Signature([*own, *declared], return_annotation=int)
    taking.__name__, taking.__doc__ = verb.__name__, verb.__doc__
    taking.__annotations__ = {item.name: item.annotation for item in signature.parameters.values()}
    taking.__signature__ = signature  # type: ignore[attr-defined]  # what inspect, and so typer, looks at first
    return taking


def _parameter(setting: Setting) -> inspect.Parameter:
    of: Any = str | None
    if setting.kind is kinds.SWITCH:
        of = bool | None
    elif _repeatable(setting):
        of = list[str] | None
    declared: Any = Annotated[of, _shown(setting)]
    return inspect.Parameter(setting.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=declared)


def _repeatable(setting: Setting) -> bool:
    return setting.metavar == kinds.FILES.metavar or setting.kind is kinds.LIST


def _shown(setting: Setting) -> Any:
    """As `option`, with the variable and the default in the words: who resolves settings reads them, not the command line."""
    made = option(setting.path)
    default = setting.kind.write(setting.default)
    known = [f"env var: {setting.variable}"]
    if setting.kind is not kinds.SWITCH and default not in ("", None, [], {}):
        known.append(f"default: {' '.join(default) if isinstance(default, list) else default}")
    repeatable = " Repeatable." if _repeatable(setting) else ""
    made.help = f"{made.help}{repeatable} [{'; '.join(known)}]"
    made.envvar, made.show_default = None, False
    return made


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)
