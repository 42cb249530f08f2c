"""A Kubernetes API server for tests, and what is tested with it."""
