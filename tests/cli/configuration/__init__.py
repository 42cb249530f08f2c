"""Settings: one table for flags, variables and the settings file."""
