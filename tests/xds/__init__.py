"""The ADS server: the protocol, the plane, and real Envoys on it."""
