"""What the daemon serves: composition of what is shown, over real Git and real answers of Envoys."""
