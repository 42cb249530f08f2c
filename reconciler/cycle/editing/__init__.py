"""Policies written over HTTP, as commits: one document changes, the whole mesh is judged, and Git decides who was first."""
