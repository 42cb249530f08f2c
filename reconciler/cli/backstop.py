"""Asking the real Envoy of this machine about everything that policies come to."""

from __future__ import annotations

from reconciler.cycle import Desired
from reconciler.cycle.backstop import check
from reconciler.envoy.validation import Validator
from reconciler.errors import Diagnostic
from reconciler.model.tree import Tree
from reconciler.policy import locate
from reconciler.policy.templates import house_templates
from reconciler.settings import shipped


def asked_of_envoy(desired: Desired, tree: Tree, validator: Validator) -> tuple[Diagnostic, ...]:
    """What the real Envoy has to say about what every proxy would be given, at the places that it comes from.

    Raises:
        EnvoyStuckError: It gave no answer.
    """
    house = house_templates(shipped("envoy-templates"))
    return locate(check(desired.mesh, desired.templates, house, validator=validator), tree)
