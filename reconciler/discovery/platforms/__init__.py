"""Adapters, a module or package for each platform; each has `build(spec, around)`. They know the contract and nothing else of the room."""
