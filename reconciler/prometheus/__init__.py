"""Prometheus: asking one for the value of a PromQL expression."""
