"""Meshes of every kind and field, as people may write them: most are valid, and tests keep what is."""
