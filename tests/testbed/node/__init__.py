"""A real node on this machine without Docker, as root: kubelet, containerd, runc, CNI bridge, kube-proxy, DNS."""

from testbed.node.node import FOLDER, Node

__all__ = ["FOLDER", "Node"]
