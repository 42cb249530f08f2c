"""The project itself: what is shipped, and what continuous integration runs."""
