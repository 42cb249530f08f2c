"""Pull requests, against a server that speaks GitHub's API."""
