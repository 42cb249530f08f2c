"""From the files of one tree to a validated `Mesh`, or to every diagnostic of what is wrong with them."""
