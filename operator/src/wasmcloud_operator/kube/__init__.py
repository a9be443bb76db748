"""Kubernetes machinery: client, reflector, store, informer, work queue, controller, lease, events.

Knows no wasmCloud: nothing here imports from the rest of the operator.
"""
