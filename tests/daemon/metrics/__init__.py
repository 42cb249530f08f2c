"""What the daemon says to Prometheus: each figure means what the table says, and there are never more series than it says."""
