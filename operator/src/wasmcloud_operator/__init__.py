"""The wasmCloud operator for Kubernetes."""
