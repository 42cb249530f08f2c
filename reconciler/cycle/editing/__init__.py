"""Policies written over HTTP, as commits: one document changes, the whole mesh is judged, and Git decides who was first."""

from reconciler.cycle.editing.catalogue import Catalogue, Entry, tag_of
from reconciler.cycle.editing.desk import Desk
from reconciler.cycle.editing.judging import Judge
from reconciler.cycle.editing.pulls import Pulls
from reconciler.cycle.editing.texts import yaml_of
from reconciler.cycle.editing.wishes import Action, Done, Requester, Shown, Wish

__all__ = [
    "Action",
    "Catalogue",
    "Desk",
    "Done",
    "Entry",
    "Judge",
    "Pulls",
    "Requester",
    "Shown",
    "Wish",
    "tag_of",
    "yaml_of",
]
