"""The HTTP client against servers that misbehave in every way we know."""
