"""The specification, as tests. Each docstring states the rule it protects."""
