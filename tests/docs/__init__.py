"""The documentation: its generated parts are current, its links lead somewhere, its examples work."""
