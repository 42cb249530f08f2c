"""Getting a plan onto proxies, in phases that make before they break, and proving that it is live."""
