"""A leader that stands still until another may lead (a frozen node, SIGSTOP) writes nothing when it goes on."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from support.operators.process import OperatorProcess
from support.sites.applications import Site
from support.wadm.between import Between, Request
from testbed import ControlPlane, NatsServer, eventually
from testbed.admin import ApiError

DEPLOYMENT = "apps/v1/Deployment"
LEASE = "coordination.k8s.io/v1/Lease"
# The lease lasts 15 s, and the gate closes 10 s after the last renewal.
FROZEN_SECONDS = 20.0
WRITES = ("put", "deploy", "undeploy", "del")


class Held:
    """Passes requests on to wadm; holds the answer to the next `versions` back until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.armed = False
        self.holding = asyncio.Event()
        self.let_go = asyncio.Event()
        self.answered = asyncio.Event()

    async def __call__(self, request: Request) -> None:
        self.asked.append(request.operation)
        answer = await request.pass_on()
        hold = self.armed and request.operation.startswith("versions")
        if hold:
            self.holding.set()
            await self.let_go.wait()
        await request.answer(answer)
        if hold:
            self.answered.set()


async def test_a_leader_frozen_for_twenty_seconds_writes_neither_to_kubernetes_nor_to_wadm(
    crds: ControlPlane, own_nats: NatsServer, between: Between, tmp_path: Path
):
    held = between.handle = Held()
    async with crds.admin() as admin, Site.open(admin, own_nats) as site:
        flags = ("--watch-namespaces", site.namespace, "--namespace", site.namespace, "--identity", "frozen")
        async with OperatorProcess.start(crds.kubeconfig, tmp_path, *flags) as operator:
            await site.create()
            await eventually(lambda: any(name.startswith("deploy") for name in held.asked))
            await eventually(lambda: _exists(admin, DEPLOYMENT, "pool", site.namespace))
            held.armed = True
            await site.change("x/web:2")
            await held.holding.wait()
            asked = len(held.asked)

            operator.process.send_signal(signal.SIGSTOP)
            try:
                held.let_go.set()  # the answer lies in the socket when it goes on, and a write is what comes next
                await held.answered.wait()
                await admin.delete(DEPLOYMENT, "pool", site.namespace)
                await asyncio.sleep(FROZEN_SECONDS)
                taken = {"spec": {"holderIdentity": "another", "leaseTransitions": 7}}
                await admin.patch(LEASE, "wasmcloud-operator", site.namespace, taken)
            finally:
                operator.process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(30):
                assert await operator.process.wait() == 1
            written = [name for name in held.asked[asked:] if name.startswith(WRITES)]
            assert written == []
            assert not await _exists(admin, DEPLOYMENT, "pool", site.namespace)
            lease = await admin.get(LEASE, "wasmcloud-operator", site.namespace)
            assert lease["spec"]["holderIdentity"] == "another"
        async with OperatorProcess.start(crds.kubeconfig, tmp_path, *flags[:2], "--no-leader-election", name="next"):
            await eventually(lambda: _exists(admin, DEPLOYMENT, "pool", site.namespace))
            await admin.delete_all("core.oam.dev/v1beta1/Application", site.namespace)
            await eventually(lambda: _gone(site))


async def _exists(admin, kind: str, name: str, namespace: str) -> bool:
    try:
        await admin.get(kind, name, namespace)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


async def _gone(site: Site) -> bool:
    return not await _exists(site.admin, "core.oam.dev/v1beta1/Application", "hello", site.namespace)
