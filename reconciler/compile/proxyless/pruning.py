"""Messages without what gRPC doesn't take: what is kept is said field by field, so that nothing new slips through.

A gRPC client refuses a whole resource for one filter or load balancing policy that it doesn't know, and passes over most other
fields in silence. A tree says what stays: a field name and None for all of it, or the tree of the messages in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.protos import children

Tree = Mapping[str, Any]
"""Field names with None (kept whole) or a `Tree`."""


def prune(message: Any, kept: Tree) -> None:
    """Take every field out of a message that a tree doesn't have, in place. A field with an empty tree stays, empty."""
    for field, value in message.ListFields():
        if field.name not in kept:
            message.ClearField(field.name)
            continue
        inner = kept[field.name]
        if inner is not None:
            for child in children(field, value):
                prune(child, inner)
