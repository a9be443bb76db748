"""A leader that is killed, or stands still for longer than its lease, at any point of a write: one writer is left.

Each replica is a user of its own, so that the audit log shows who wrote what.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.operators.process import OperatorProcess
from support.sites.applications import Site
from support.sites.hostpools import DEPLOYMENT, exists
from support.wadm.between import Between, Request
from testbed import Admin, ControlPlane, NatsServer, eventually
from testbed.audit import AuditEvent

LEASE = "coordination.k8s.io/v1/Lease"
WRITES = ("put", "deploy", "undeploy", "del")
FIRST, SECOND = "alice", "bob"


@dataclass
class HeldBack:
    """Passes requests on to wadm; once armed, holds the answer to the next of one operation back until it is let go."""

    operation: str
    asked: list[str] = field(default_factory=list)
    armed: bool = False
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: Request) -> None:
        self.asked.append(request.operation)
        answer = await request.pass_on()
        if self.armed and request.operation.partition(".")[0] == self.operation:
            self.armed = False
            self.holding.set()
            await self.let_go.wait()
        await request.answer(answer)


@pytest.fixture
async def replicas(crds: ControlPlane, admin: Admin) -> AsyncIterator[None]:
    """Both users have every right."""
    name = f"replicas-{secrets.token_hex(3)}"
    kind, group = "ClusterRoleBinding", "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"apiGroup": group, "kind": "User", "name": user} for user in (FIRST, SECOND)]
    binding = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}}
    await admin.create({**binding, "roleRef": role, "subjects": subjects})
    yield
    await admin.delete(f"{group}/v1/{kind}", name)


@contextlib.asynccontextmanager
async def replica(crds: ControlPlane, site: Site, user: str, folder: Path) -> AsyncIterator[OperatorProcess]:
    flags = ("--watch-namespaces", site.namespace, "--namespace", site.namespace, "--identity", user)
    async with OperatorProcess.start(crds.kubeconfig_for(crds.user(user)), folder, *flags, name=user) as operator:
        yield operator


async def leads(site: Site, user: str) -> bool:
    lease = await site.admin.get(LEASE, "wasmcloud-operator", site.namespace)
    return lease["spec"].get("holderIdentity") == user


@pytest.mark.parametrize("operation", ["versions", "put", "deploy"])
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
async def test_a_leader_lost_at_any_point_of_a_write_leaves_one_writer(
    crds: ControlPlane,
    replicas: None,
    admin: Admin,
    own_nats: NatsServer,
    between: Between,
    tmp_path: Path,
    operation: str,
    how: signal.Signals,
) -> None:
    held = between.handle = HeldBack(operation)
    async with (
        Site.open(admin, own_nats) as site,
        replica(crds, site, FIRST, tmp_path) as first,
        _once_leading(crds, site, tmp_path),
    ):
        await site.create()
        await site.deployed()
        await exists(admin, DEPLOYMENT, site.namespace)
        held.armed = True
        await site.change("x/web:2")
        await asyncio.wait_for(held.holding.wait(), 60)

        first.process.send_signal(how)
        try:
            held.let_go.set()  # the answer lies in the socket when it goes on, and what comes next is due
            await admin.delete(DEPLOYMENT, "pool", site.namespace)
            await eventually(lambda: leads(site, SECOND), timeout=120)
            await exists(admin, DEPLOYMENT, site.namespace)
            await site.deployed()
            await eventually(lambda: _one_version_is_deployed(site), message="one version is deployed")
            await admin.delete(DEPLOYMENT, "pool", site.namespace)
            await exists(admin, DEPLOYMENT, site.namespace)
            asked = len(held.asked)
            assert crds.audit is not None
            since = crds.audit.end
        finally:
            if how is signal.SIGSTOP:
                first.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(60):
            assert await first.process.wait() == (1 if how is signal.SIGSTOP else -signal.SIGKILL)
        assert [event for event in _writes(crds, since, site) if event.user == FIRST and event.code < 400] == []
        assert [name for name in held.asked[asked:] if name.startswith(WRITES)] == []
        assert await leads(site, SECOND)


@contextlib.asynccontextmanager
async def _once_leading(crds: ControlPlane, site: Site, folder: Path) -> AsyncIterator[OperatorProcess]:
    """The standby, started when the other leads."""
    await eventually(lambda: leads(site, FIRST))
    async with replica(crds, site, SECOND, folder) as second:
        yield second
        await site.admin.delete_all("core.oam.dev/v1beta1/Application", site.namespace)
        await site.gone()


async def _one_version_is_deployed(site: Site) -> bool:
    return sum((await site.versions()).values()) == 1


def _writes(crds: ControlPlane, since: int, site: Site) -> list[AuditEvent]:
    assert crds.audit is not None
    return [event for event in crds.audit.events(since) if event.is_write and event.namespace == site.namespace]
