"""DNS as a registry: names of instances, asked again when their TTL is over."""

from reconciler.discovery.platforms.dns.adapter import build

__all__ = ["build"]
