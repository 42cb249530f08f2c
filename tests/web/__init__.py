"""The HTTP server: real requests over real sockets."""
