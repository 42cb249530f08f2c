"""The HTTP API over a real Git repository, put together as the daemon does it."""
