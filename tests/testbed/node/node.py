"""A Kubernetes cluster with a real node on this machine: control plane, kubelet, containerd, kube-proxy, DNS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testbed.admin import is_true
from testbed.build import Progress
from testbed.cache import ensure, lock
from testbed.controlplane import ControlPlane
from testbed.node import cgroups, leftovers, needs
from testbed.node.dns import manifests as dns_manifests
from testbed.node.images import coredns_image, pause_image
from testbed.node.kubelet import KUBELET, NODE, PROXY, kubelet, proxy
from testbed.node.network import NODE_IP, network
from testbed.node.runtime import containerd, import_image
from testbed.process import ComponentFailed, Server, start_on_free_ports
from testbed.users import User, write_kubeconfig

# Fixed, so that what a killed run has left is found by the next one; short, since sockets are in it.
FOLDER = Path("/var/lib/wasmcloud-testbed")


@dataclass(frozen=True)
class Node:
    """A running cluster of one real node; `start` makes one."""

    control_plane: ControlPlane
    containerd: Server
    kubelet: Server
    kube_proxy: Server

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, progress: Progress | None = None) -> AsyncIterator[Self]:
        """The cluster, its node Ready and its DNS answering; at the end nothing of it is left on the machine.

        One at a time on a machine: a second one waits. Raises `ComponentFailed` with what is in the way, and at the end
        when something could not be removed.
        """
        progress = progress or Progress()
        if problems := needs.problems():
            raise ComponentFailed(f"no real node can run here: {'; '.join(problems)}")
        needs.install(progress)
        async with lock("node", "another real node on this machine", progress):
            await leftovers.remove(FOLDER)
            try:
                async with network(leftovers.notes_of(FOLDER)), contextlib.AsyncExitStack() as stack:
                    node = await cls._start(stack)
                    await node._serve_dns()
                    yield node
            finally:
                await leftovers.remove(FOLDER)
            if left := await leftovers.found(FOLDER):
                raise ComponentFailed("the node has left on this machine:\n" + "\n".join(left))

    @classmethod
    async def _start(cls, stack: contextlib.AsyncExitStack) -> Self:
        (FOLDER / "logs").mkdir(parents=True, exist_ok=True)
        cgroups.create()
        runtime = await containerd(FOLDER)
        stack.push_async_callback(runtime.stop)
        await runtime.start()
        await import_image(FOLDER, pause_image(FOLDER / "pause.tar"))
        control_plane = await stack.enter_async_context(
            ControlPlane.start(
                FOLDER / "control-plane",
                extra_users=(KUBELET, PROXY),
                bind=NODE_IP,
                # the Service "kubernetes" leads to the address that pods reach
                apiserver_args=["--endpoint-reconciler-type=lease", "--kubelet-preferred-address-types=InternalIP"],
            )
        )

        def config_of(user: User) -> Path:
            path = FOLDER / f"{user.name.replace(':', '-')}.kubeconfig"
            return write_kubeconfig(
                path, url=control_plane.url, ca_file=control_plane.ca_file, user=user.name, token=user.token
            )

        programs = [await ensure(name) for name in ("kubelet", "kube-proxy")]
        agent = await start_on_free_ports(lambda ports: kubelet(programs[0], FOLDER, config_of(KUBELET), ports), 2)
        stack.push_async_callback(agent.stop)
        rules = await start_on_free_ports(lambda ports: proxy(programs[1], FOLDER, config_of(PROXY), ports), 2)
        stack.push_async_callback(rules.stop)
        await control_plane.admin().wait_for("v1/Node", NODE, None, lambda seen: is_true(seen, "Ready"), timeout=180)
        return cls(control_plane, runtime, agent, rules)

    async def load(self, archive: Path) -> None:
        """Make the images of a docker-archive known to the node."""
        await import_image(FOLDER, archive)

    async def _serve_dns(self) -> None:
        await self.load(await coredns_image(FOLDER / "coredns.tar"))
        admin = self.control_plane.admin()
        for manifest in dns_manifests():
            await admin.apply(manifest)
        await admin.wait_for(
            "apps/v1/Deployment", "coredns", "kube-system", lambda seen: is_true(seen, "Available"), timeout=180
        )
