"""Previews of pull requests, and what is said about them on a forge."""
