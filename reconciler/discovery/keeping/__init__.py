"""What is kept of registries between their events and the catalogue: driven, doubted, damped, remembered on disk."""
