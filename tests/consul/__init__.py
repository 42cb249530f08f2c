"""A Consul agent for tests."""
