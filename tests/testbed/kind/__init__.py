"""A real kind cluster where no Docker engine is installed and no container registry can be reached."""

from testbed.kind.cluster import KindCluster

__all__ = ["KindCluster"]
