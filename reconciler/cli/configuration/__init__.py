"""The settings of a process: one table from which flags, variables and the keys of the settings file follow.

The classes in `settings` are the model; here is how values get into them. `resolving` says who wins.
"""

from reconciler.cli.configuration.declaring import option, with_all_settings
from reconciler.cli.configuration.resolving import InForce, assembled, in_force
from reconciler.cli.configuration.table import Setting, table

__all__ = ["InForce", "Setting", "assembled", "in_force", "option", "table", "with_all_settings"]
