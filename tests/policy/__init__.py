"""The rules of loading policies: what is accepted, what is refused, and where the message points."""
