"""YAML with positions, and splicing: the only room that knows ruamel.yaml.

Reads documents fast and without positions; finds the line and column of a value when somebody has to read them; and changes
single scalars in a text by their bytes. It knows nothing of policies.
"""
