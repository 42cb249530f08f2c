"""Git is read and written as promised: on real repositories, with real hooks, remotes and keys."""
