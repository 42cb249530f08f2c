"""Real gRPC applications, clients and servers, that take their configuration from the product's own ADS server."""
