"""Diffs of views with observations, the digest, the guards, and plans as text, JSON and Markdown. Pure."""
