"""Who asks, and what they may: every route but health names the role that it takes."""

from reconciler.web.access.callers import Access, Anonymous, Caller, Owner, Role

__all__ = ["Access", "Anonymous", "Caller", "Owner", "Role"]
