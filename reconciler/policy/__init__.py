"""From the files of one tree to a validated `Mesh`, or to every diagnostic of what is wrong with them."""

from reconciler.policy.announced import check_announced
from reconciler.policy.cache import DocumentCache
from reconciler.policy.codes import CODES
from reconciler.policy.collecting import uncollected
from reconciler.policy.findings import locate
from reconciler.policy.folder import FolderError, FolderTree
from reconciler.policy.loaded import Loaded
from reconciler.policy.loading import load

__all__ = [
    "CODES",
    "DocumentCache",
    "FolderError",
    "FolderTree",
    "Loaded",
    "check_announced",
    "load",
    "locate",
    "uncollected",
]
