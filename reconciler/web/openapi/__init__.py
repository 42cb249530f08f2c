"""What the HTTP API offers, as data: written beside the routes, and held against them by tests."""

from reconciler.web.openapi.document import described
from reconciler.web.openapi.operations import OPERATIONS, Operation

__all__ = ["OPERATIONS", "Operation", "described"]
