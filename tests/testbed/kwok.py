"""Simulated nodes: pods scheduled to them become Running and Ready at once, no container is started."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from testbed import users
from testbed.admin import Admin, Object, is_true
from testbed.cache import ensure
from testbed.controlplane import ControlPlane
from testbed.process import Server, http_ok, start_on_free_ports

# A pod with this label (of any value) stays as it is, neither Ready nor gone, until the label is taken away.
HOLD_LABEL = "testbed/hold"
_STAGES = Path(__file__).parent / "stages.yaml"
_SIMULATED = {"kwok.x-k8s.io/node": "fake"}


class Kwok:
    """A running kwok with its nodes; `start` makes one."""

    def __init__(self, server: Server, control_plane: ControlPlane) -> None:
        self.server = server
        self._control_plane = control_plane

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, control_plane: ControlPlane, *, nodes: int = 3) -> AsyncIterator[Self]:
        """kwok on a control plane, with nodes node-0, node-1 … that are Ready; stopped at the end, the nodes stay."""
        program = await ensure("kwok")
        folder = control_plane.folder
        kubeconfig = control_plane.kubeconfig_for(users.KWOK)

        def make(ports: list[int]) -> Server:
            address = f"127.0.0.1:{ports[0]}"
            argv: list[str | Path] = [program, "--kubeconfig", kubeconfig, "--server-address", address]
            argv += ["--config", _STAGES, "--manage-all-nodes=false"]
            argv += [f"--manage-nodes-with-annotation-selector={key}={value}" for key, value in _SIMULATED.items()]
            argv += ["--node-lease-duration-seconds", "40", "--cidr", "10.244.0.0/16", "--node-ip", "10.243.0.1"]
            log = folder / "logs" / "kwok.log"
            return Server("kwok", argv, log=log, ready=lambda: http_ok(f"http://{address}/healthz"))

        server = await start_on_free_ports(make, 1)
        try:
            kwok = cls(server, control_plane)
            async with control_plane.admin() as admin:
                for number in range(nodes):
                    await kwok.add_node(f"node-{number}", admin=admin)
            yield kwok
        finally:
            await server.stop()

    async def add_node(self, name: str, labels: dict[str, str] | None = None, *, admin: Admin | None = None) -> Object:
        """A simulated node, returned when it is Ready."""
        admin = admin or self._control_plane.admin()
        all_labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok", **(labels or {})}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": all_labels, "annotations": _SIMULATED},
            "spec": {},
        }
        await admin.apply(node)
        ready = await admin.wait_for("v1/Node", name, None, lambda found: is_true(found, "Ready"))
        assert ready is not None
        return ready

    async def remove_node(self, name: str) -> None:
        """Delete a node; the pods on it go, as the controllers see to it."""
        await self._control_plane.admin().delete("v1/Node", name)
