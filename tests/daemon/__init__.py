"""The daemon: when passes run, and how they end."""
