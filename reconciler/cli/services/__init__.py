"""`reconcile services`: services, their instances, where each came from, its health, and who may call it.

`inventory` makes the document, which the daemon serves as well; `choice` picks what was asked for; `sight` adds how callers see it;
`words` writes it for people. `source` and `verb` do what needs the outside world.
"""

from reconciler.cli.services.verb import services

__all__ = ["services"]
