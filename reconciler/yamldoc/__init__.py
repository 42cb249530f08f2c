"""YAML with positions, and splicing: the only room that knows ruamel.yaml.

Reads documents fast and without positions; finds the line and column of a value when somebody has to read them; and changes
values and documents in a text by their bytes. It knows nothing of policies.
"""

from reconciler.yamldoc.blocks import SpliceError
from reconciler.yamldoc.dumping import dump
from reconciler.yamldoc.loading import load, read
from reconciler.yamldoc.parting import Part, exchange, joined, one, parts, without
from reconciler.yamldoc.positions import Positions, locate
from reconciler.yamldoc.splicing import Change, Drop, Edit, Put, splice
from reconciler.yamldoc.stream import Broken, YamlError, pieces

__all__ = [
    "Broken",
    "Change",
    "Drop",
    "Edit",
    "Part",
    "Positions",
    "Put",
    "SpliceError",
    "YamlError",
    "dump",
    "exchange",
    "joined",
    "load",
    "locate",
    "one",
    "parts",
    "pieces",
    "read",
    "splice",
    "without",
]
