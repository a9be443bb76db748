"""`kubectl wasmcloud`: what runs, where, and why not, read from Kubernetes alone with the user's own rights."""
