"""What `reconcile daemon` serves: composition of the web server, the daemon and what they show. One file for each part of the offer."""

from reconciler.cli.serving.doors import doors

__all__ = ["doors"]
