"""Forges: proposing changes by pull requests, through their APIs. Knows nothing of rollouts."""
