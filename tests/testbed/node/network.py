"""The node's network: one bridge that pods and the node's own servers are on, and kube-proxy's rules in nftables."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from testbed.node import sysctls
from testbed.node.commands import CommandFailed, run

BRIDGE = "wctestbed0"
NODE_IP = "10.244.0.1"  # the bridge's own address; the API server, the kubelet and every pod's gateway
POD_CIDR = "10.244.0.0/24"
CLUSTER_CIDR = "10.244.0.0/16"
DNS_IP = "10.96.0.10"
_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # a Service's answer that stays on the bridge must pass netfilter, or its address is never translated back
    "net/bridge/bridge-nf-call-iptables": "1",
}


class NetworkTaken(RuntimeError):
    """Another network of this machine uses the node's addresses."""


@contextlib.asynccontextmanager
async def network(notes: Path) -> AsyncIterator[None]:
    """The bridge and the kernel's settings for it; at the end the machine's network is as it was.

    `notes` is the file that remembers the machine's kernel settings, those that a kubelet changes too.
    """
    for route in json.loads(await _ip("-json", "route", "show", "root", CLUSTER_CIDR)):
        raise NetworkTaken(f"{CLUSTER_CIDR} is wanted for pods, but {route.get('dev')} already leads to {route['dst']}")
    await _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        await _ip("address", "add", f"{NODE_IP}/24", "dev", BRIDGE)
        await _ip("link", "set", BRIDGE, "up")
        with sysctls.kept(notes, sysctls.CHANGED_BY_NODES, _SYSCTLS):
            yield
    finally:
        await remove()


async def remove() -> None:
    """The bridge, the pods' ends on it and kube-proxy's tables go; nothing happens where there are none."""
    for name in await interfaces():
        try:
            await _ip("link", "delete", name)
        except CommandFailed:
            if name in await interfaces():  # else it went with its pod meanwhile
                raise
    for family in ("ip", "ip6"):
        if f"table {family} kube-proxy" in await tables():
            await run("nft", "delete", "table", family, "kube-proxy")


async def interfaces() -> list[str]:
    """The names of what there is of the node's: the bridge last, before it the pods' ends on it."""
    links = json.loads(await _ip("-json", "link", "show"))
    ends = [link["ifname"] for link in links if link.get("master") == BRIDGE]
    return ends + [link["ifname"] for link in links if link["ifname"] == BRIDGE]


async def tables() -> list[str]:
    """The nftables tables of the machine, as `nft list tables` names them."""
    return (await run("nft", "list", "tables")).splitlines()


async def _ip(*args: str) -> str:
    return await run("ip", *args) or "[]"
