"""Rules of the value types that all rooms share."""
