"""Measurements: each prints a table and one line of JSON. Run by hand; nothing here asserts a time."""
