"""Webhooks: who is believed, and that nobody is believed more than that there is something to look at."""
