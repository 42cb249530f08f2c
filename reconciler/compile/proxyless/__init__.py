"""Proxyless gRPC: the view of an application that is its own proxy, as a client (`xds:///`) and as a server (xDS credentials).

It has no listeners in front of it and no application behind: routes, clusters and endpoints are those that an Envoy in its place
would have, reworded for gRPC; what gRPC can't do is left out and said (`View.unsupported`).
"""

from reconciler.compile.proxyless.application import Application, Applications
from reconciler.compile.proxyless.listeners import SERVER
from reconciler.compile.proxyless.targets import Targets
from reconciler.compile.proxyless.tls import PROVIDER

__all__ = ["PROVIDER", "SERVER", "Application", "Applications", "Targets"]
