"""What registries list and what Git declares, as one set of services, and the newest endpoints of each."""
