"""What the cluster is like for every host pool alike."""

from __future__ import annotations

import os
from dataclasses import dataclass

from wasmcloud_operator.kube.access import ServerVersion, server_version, serves_group
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.names import IpFamily

OPENSHIFT_GROUP = "security.openshift.io"

# Kubernetes from this version on takes preStop.sleep.
_SLEEP_ACTION = (1, 30)


@dataclass(frozen=True, slots=True)
class Platform:
    """Whether containers may have preStop.sleep, whether a pod's first address is an IPv6 one, and whether the cluster
    is OpenShift, which has users of its own for each namespace's pods.
    """

    sleep_action: bool = True
    ipv6: bool = False
    openshift: bool = False


async def platform_seen(client: Reader, family: IpFamily) -> Platform:
    """Returns the platform of the cluster by asking its API server. Raises the errors of `kube.errors`."""
    version, openshift = await server_version(client), await serves_group(client, OPENSHIFT_GROUP)
    return platform_of(version, family, os.environ.get("KUBERNETES_SERVICE_HOST", ""), openshift=openshift)


def platform_of(server: ServerVersion, family: IpFamily, api_service: str, *, openshift: bool = False) -> Platform:
    """The platform of a cluster with that API server.

    Pods get their first address in the family of the Services, so `auto` takes the family of the API's Service, whose
    address is in every pod's KUBERNETES_SERVICE_HOST; that is empty outside of a cluster, and may be a host name.
    """
    ipv6 = ":" in api_service if family == "auto" else family == "ipv6"
    return Platform((server.major, server.minor) >= _SLEEP_ACTION, ipv6, openshift)
