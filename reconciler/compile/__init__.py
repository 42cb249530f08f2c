"""From a mesh to each proxy's view: pure, deterministic, from prototypes in `envoy-templates/`."""
