"""One operator between an unfriendly tenant and a friendly one: how fast the friendly one is served, what stays behind.

`withstands` is the end of every such test: an attack goes on, the operator is killed and started anew in the middle of
it, and others notice nothing.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from support.operators.process import OperatorProcess
from support.sites.hostpools import CONFIG, DEPLOYMENT, exists, host_config, shown
from support.sites.services import APP, ServiceSite, http_components
from testbed import Admin, ControlPlane, NatsServer, eventually

EVENT = "events.k8s.io/v1/Event"
# What unfriendly tenants use as password, and what their servers answer with. No output may have it.
SECRET = "hunter2-7c1e"
# An attack may slow others down by this much at most: the machine is the same, and busy with the attack itself and with
# other tests, which may have begun since the others were served alone. Who waits for the attacker waits for minutes.
FACTOR, SLACK_SECONDS = 4.0, 20.0
# Memory that is back, by what it was before.
BACK = 1.2


@dataclass
class Trial:
    """The operator, which can be killed and started anew, and both tenants. `namespace` is the unfriendly one's."""

    crds: ControlPlane
    admin: Admin
    namespace: str
    folder: Path
    friendly: ServiceSite
    operator: OperatorProcess
    _running: AsyncExitStack
    _served: int = 0
    _logs: list[Path] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, crds: ControlPlane, admin: Admin, nats: NatsServer, folder: Path) -> AsyncIterator[Trial]:
        """With a pool, its pod and a host of the friendly tenant, whose lattice has a wadm already."""
        namespace = f"unfriendly-{secrets.token_hex(3)}"
        await admin.create_namespace(namespace)
        async with AsyncExitStack() as running:
            operator = await running.enter_async_context(_operator(crds, folder, 0))
            try:
                async with ServiceSite.open(admin, nats) as friendly:
                    (pod,) = await friendly.pods()
                    async with friendly.host_on(pod):
                        trial = cls(crds, admin, namespace, folder, friendly, operator, running, 0, [operator.log])
                        yield trial
                        await trial._tidy()
            finally:
                for kind in (APP, CONFIG):
                    await admin.delete_all(kind, namespace)
                await admin.delete("v1/Namespace", namespace)

    async def _tidy(self) -> None:
        """No Application is left behind: who starts next would have to end it in wadm."""
        for namespace in (self.friendly.namespace, self.namespace):
            await self.admin.delete_all(APP, namespace)
        await eventually(self._are_gone, timeout=120, message="the Applications are gone")

    async def _are_gone(self) -> bool:
        places = (self.friendly.namespace, self.namespace)
        return not any([await self.admin.list(APP, namespace) for namespace in places])

    async def restart(self) -> None:
        """Kill the operator, and start another."""
        self.operator.process.kill()
        await self.operator.process.wait()
        await self._running.aclose()
        self.operator = await self._running.enter_async_context(_operator(self.crds, self.folder, len(self._logs)))
        self._logs.append(self.operator.log)

    async def warm_up(self) -> None:
        """Have as many harmless host configs come and go as an attack has, so that its memory is all that counts."""
        names = [f"warm-{number}" for number in range(40)]
        for name in names:
            spec = {"natsAddress": self.friendly.server.url, "lattice": name, "hostReplicas": 0}
            await self.admin.create(host_config(self.namespace, name, **spec))
        for name in names:
            await shown(self.admin, self.namespace, name, LatticeConnected="True")
        await self.admin.delete_all(CONFIG, self.namespace)

    async def serve_friendly(self) -> float:
        """Seconds until a new host config, Application and Service of the friendly tenant are what they should be."""
        self._served += 1
        name, site = f"served-{self._served}", self.friendly
        started = time.monotonic()
        spec = {"natsAddress": site.server.url, "lattice": site.lattice.name}
        await self.admin.create(host_config(site.namespace, name, **spec))
        await site.create(name, http_components(20_000 + self._served))
        await exists(self.admin, DEPLOYMENT, site.namespace, name)
        await shown(self.admin, site.namespace, name, LatticeConnected="True")
        await site.app(name, lambda found: "deployedVersion" in found.get("status", {}))
        await site.service(name, lambda found: found is not None)
        return time.monotonic() - started

    async def healthy(self) -> None:
        """/healthz answers."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{self.operator.address}/healthz") as answer,
        ):
            assert answer.status == 200

    def memory_is_back(self, before: float) -> bool:
        """Whether no more than a fifth more is resident; raises AssertionError with the numbers."""
        now = self.operator.resident_mebibytes
        assert now < BACK * before, f"{now:.0f} MiB, {before:.0f} before"
        return True

    async def outputs(self) -> str:
        """All that the operator shows now: logs, metrics, what it does, statuses, Events."""
        shown = [log.read_text(encoding="utf-8") for log in self._logs]
        shown.append(await self.operator.metrics())
        url = f"http://{self.operator.address}/debug/keys"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            shown.append(await answer.text())
        for kind in (CONFIG, APP):
            shown += [json.dumps(found.get("status")) for found in await self.admin.list(kind, self.namespace)]
        shown += [json.dumps(event) for event in await self.admin.list(EVENT, self.namespace)]
        return "\n".join(shown)


Attack = Callable[[Trial], AbstractAsyncContextManager[object]]


async def withstands(trial: Trial, attack: Attack) -> None:
    """Whatever goes on while `attack` is entered: others are served, nothing stays, nothing secret is shown."""
    await trial.warm_up()
    alone = [await trial.serve_friendly() for _ in range(3)]
    before = trial.operator.resident_mebibytes
    async with attack(trial):
        meanwhile = [await trial.serve_friendly()]
        await trial.restart()
        meanwhile += [await trial.serve_friendly() for _ in range(2)]
        await trial.healthy()
        during = await trial.outputs()
        assert trial.operator.resident_mebibytes < before + 250
    await eventually(lambda: trial.memory_is_back(before), timeout=90)
    await trial.healthy()
    afterwards = await trial.serve_friendly()
    assert max(*meanwhile, afterwards) < FACTOR * max(alone) + SLACK_SECONDS, (alone, meanwhile, afterwards)
    assert SECRET not in during + await trial.outputs()


def _operator(crds: ControlPlane, folder: Path, number: int) -> AbstractAsyncContextManager[OperatorProcess]:
    return OperatorProcess.start(crds.kubeconfig, folder, "--no-leader-election", name=f"operator-{number}")
