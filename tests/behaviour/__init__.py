"""What policies do, as a table of rules: each row is tried with real Envoys. `table.py` describes a row."""
