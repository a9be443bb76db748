"""Cluster DNS: CoreDNS as a Deployment with the Service that kubelets hand to pods."""

from __future__ import annotations

from typing import Any

from testbed.node.images import COREDNS
from testbed.node.network import DNS_IP

_CONF = """.:10053 {
    errors
    ready :10054
    kubernetes cluster.local in-addr.arpa {
        ttl 1
    }
}
"""
_LABELS = {"k8s-app": "kube-dns"}
_NAMESPACE = "kube-system"


def manifests() -> list[dict[str, Any]]:
    """What has to be applied, in that order."""
    return [
        _object("v1", "ServiceAccount", {}),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            {
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "system:coredns",
                },
                "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": _NAMESPACE}],
            },
        ),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            {
                "rules": [
                    {
                        "apiGroups": [""],
                        "resources": ["services", "pods", "namespaces"],
                        "verbs": ["list", "watch"],
                    },
                    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
                ]
            },
            name="system:coredns",
        ),
        _object("v1", "ConfigMap", {"data": {"Corefile": _CONF}}),
        _object("apps/v1", "Deployment", {"spec": _deployment()}),
        _object(
            "v1",
            "Service",
            {
                "spec": {
                    "clusterIP": DNS_IP,
                    "selector": _LABELS,
                    "ports": [
                        {"name": protocol.lower(), "protocol": protocol, "port": 53, "targetPort": 10053}
                        for protocol in ("UDP", "TCP")
                    ],
                }
            },
            name="kube-dns",
        ),
    ]


def _deployment() -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": COREDNS,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 10054}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    spec = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return {
        "replicas": 1,
        "selector": {"matchLabels": _LABELS},
        "template": {"metadata": {"labels": _LABELS}, "spec": spec},
    }


def _object(version: str, kind: str, content: dict[str, Any], *, name: str = "coredns") -> dict[str, Any]:
    namespaced = not kind.startswith("Cluster")
    metadata = {"name": name} | ({"namespace": _NAMESPACE} if namespaced else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
