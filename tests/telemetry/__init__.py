"""What proxies tell of the requests that they carry: real Envoys, a real collector, a real Prometheus."""
