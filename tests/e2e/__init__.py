"""The product as its users meet it: real Git repositories, real Envoys, real traffic."""
