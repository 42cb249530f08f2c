"""Rules of the compiler: from a mesh to what each Envoy should have."""
