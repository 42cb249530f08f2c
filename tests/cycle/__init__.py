"""One pass and its stages, with real Git and real Envoys."""
