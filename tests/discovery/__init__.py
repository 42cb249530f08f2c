"""Registries and what is made of what they say."""
