"""kubelet and kube-proxy of the one node."""

from __future__ import annotations

import json
from pathlib import Path

from testbed.node import cgroups
from testbed.node.network import CLUSTER_CIDR, DNS_IP, NODE_IP
from testbed.node.runtime import socket_of
from testbed.process import Server, http_ok
from testbed.users import User

NODE = "node-1"
KUBELET = User.named(f"system:node:{NODE}", "system:nodes")
PROXY = User.named("system:kube-proxy")


def kubelet(program: Path, folder: Path, kubeconfig: Path, ports: list[int]) -> Server:
    """The kubelet; `ports` are its own and its health check's."""
    root = folder / "kubelet"
    root.mkdir(exist_ok=True)
    (root / "resolv.conf").write_text("")
    config = root / "config.json"
    config.write_text(json.dumps(_kubelet_config(folder, ports), indent=2))
    argv: list[str | Path] = [program, "--config", config, "--kubeconfig", kubeconfig]
    argv += ["--root-dir", root, "--cert-dir", root / "pki", "--hostname-override", NODE, "--node-ip", NODE_IP]
    health = f"http://127.0.0.1:{ports[1]}/healthz"
    return Server("kubelet", argv, log=folder / "logs" / "kubelet.log", ready=lambda: http_ok(health))


def _kubelet_config(folder: Path, ports: list[int]) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "port": ports[0],
        "healthzPort": ports[1],
        "healthzBindAddress": "127.0.0.1",
        # only this machine and its pods reach the address; the API server comes without a client certificate
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{socket_of(folder)}",
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "kubelet" / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.ROOT}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "enforceNodeAllocatable": [],
        "evictionHard": dict.fromkeys(
            ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"),
            "0%",
        ),
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "registerNode": True,
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "maxPods": 110,
    }


def proxy(program: Path, folder: Path, kubeconfig: Path, ports: list[int]) -> Server:
    """kube-proxy; `ports` are its health check's and its metrics'."""
    argv: list[str | Path] = [program, "--kubeconfig", kubeconfig, "--proxy-mode", "nftables"]
    argv += ["--hostname-override", NODE, "--cluster-cidr", CLUSTER_CIDR, "--nodeport-addresses", f"{NODE_IP}/32"]
    argv += ["--healthz-bind-address", f"127.0.0.1:{ports[0]}", "--metrics-bind-address", f"127.0.0.1:{ports[1]}"]
    # the machine's conntrack settings stay as they are
    argv += ["--conntrack-max-per-core", "0", "--conntrack-tcp-timeout-established", "0"]
    argv += ["--conntrack-tcp-timeout-close-wait", "0", "--oom-score-adj", "0"]
    health = f"http://127.0.0.1:{ports[0]}/livez"
    return Server("kube-proxy", argv, log=folder / "logs" / "kube-proxy.log", ready=lambda: http_ok(health))
