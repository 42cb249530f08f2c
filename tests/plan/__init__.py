"""The plan room: differences, guards, the digest and the renderers."""
