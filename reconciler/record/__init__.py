"""Receipts: commits on the record branch that say what is live where, proven how."""
