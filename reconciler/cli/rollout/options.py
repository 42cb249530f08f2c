"""Options of all verbs below `reconcile rollout`."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.errors import UsageError
from reconciler.model.key import DEFAULT_NAMESPACE, Key

Name = Annotated[str, typer.Argument(metavar="NAME", help="The rollout: NAME or NAMESPACE/NAME.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Of a NAME without one.")]
NAMESPACE = DEFAULT_NAMESPACE


def key_of(name: str, namespace: str) -> Key:
    """Read NAME or NAMESPACE/NAME.

    Raises:
        UsageError: It is neither, or names another namespace than the option.
    """
    key = Key.parse(name, namespace)
    if not key.name or not key.namespace or "/" in key.name:
        raise UsageError(f"{name!r} does not name a rollout", hint="write NAME or NAMESPACE/NAME")
    if namespace not in {NAMESPACE, key.namespace}:
        raise UsageError(f"{name} is not in the namespace {namespace}", hint="leave --namespace out")
    return key
