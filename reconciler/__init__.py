"""A GitOps control plane for Envoy: Git says what should be, Envoy says what is, the record branch says what happened."""

__version__ = "0.1.0"
