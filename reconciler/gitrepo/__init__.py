"""Git, by GitPython: reading commits without a work tree, and writing by compare-and-swap. The only room that knows Git."""
