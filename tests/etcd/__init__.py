"""Real etcd for tests."""
