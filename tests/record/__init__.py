"""Receipts say what is live, are written once, and are never lost or read wrongly."""
