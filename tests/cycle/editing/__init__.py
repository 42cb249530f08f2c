"""Policies written by whoever asks, as commits of a real repository."""
