"""Applications in Kubernetes, run by wadm in a lattice."""
