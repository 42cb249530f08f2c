"""Runtime overrides: values that somebody has set through an admin endpoint, and that hide what the policies say.

On a proxy that is configured fully they are drift. They are cleared after the routes are in force that they hide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.envoy import Admin, AdminError
from reconciler.errors import ReconcilerError
from reconciler.model.plan import Action, Change
from reconciler.model.resource import ResourceType
from reconciler.push.ways import RefusedByEnvoyError


def overridden(changes: Iterable[Change]) -> tuple[str, ...]:
    """The runtime keys that a plan clears."""
    keys = (change.id for change in changes if change.action is Action.DELETE)
    return tuple(sorted(id_.name for id_ in keys if id_.type is ResourceType.RUNTIME))


def clear(admin: Admin, keys: Sequence[str]) -> None:
    """Clear these keys, if there are any.

    Raises:
        RefusedByEnvoyError: This Envoy does not let them be changed.
        AdminError: It does not answer.
    """
    try:
        admin.set_runtime(dict.fromkeys(keys, ""))
    except AdminError:
        raise
    except ReconcilerError as error:
        names = ", ".join(keys)
        raise RefusedByEnvoyError(f"runtime overrides of {names} can't be cleared: {error.message}") from error
