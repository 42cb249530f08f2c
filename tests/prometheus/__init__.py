"""Queries, against a real Prometheus."""
