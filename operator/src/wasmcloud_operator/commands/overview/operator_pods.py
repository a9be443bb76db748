"""The operator's own pods, as its users see them."""

from __future__ import annotations

from wasmcloud_operator.kube.resources import POD, Key

SELECTOR = "app.kubernetes.io/name=wasmcloud-operator"
_METRICS_PORT = 8080


def metrics_path(pod: Key) -> str:
    """Returns the path on which the API server fetches the metrics of a pod."""
    return POD.path(Key(pod.namespace, f"{pod.name}:{_METRICS_PORT}"), "proxy/metrics")
