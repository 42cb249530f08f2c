"""Tests of `reconcile services`."""
