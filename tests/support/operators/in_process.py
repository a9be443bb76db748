"""The operator in the test's own process: started against a control plane, ready when entered, stopped at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from testbed import ControlPlane, eventually
from testbed.ports import free_ports
from testbed.waiting import NeverHappened
from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.operator import Operator
from wasmcloud_operator.settings import Settings

# What the audit log has as the operator's user agent.
USER_AGENT = "wasmcloud-operator/"


class RunningOperator:
    """One replica. `address` is where it serves metrics and probes, `exit_code` what it ended with, once it has."""

    def __init__(self, settings: Settings, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self._clock = clock
        self.address = settings.http_address
        self.exit_code: int | None = None
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"operator {settings.identity}")

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, control_plane: ControlPlane, *, clock: Clock = SYSTEM_CLOCK, **settings: Any
    ) -> AsyncIterator[RunningOperator]:
        """Without leader election, and without connections to pods, whose addresses nobody has here, unless set; every
        other setting is the operator's own default.
        """
        given = {
            "kubeconfig": control_plane.kubeconfig,
            "http_address": f"127.0.0.1:{free_ports(1)[0]}",
            "leader_election": False,
            "connect_to_pods": False,
            **settings,
        }
        running = cls(Settings(**given), clock)
        try:
            await running.wait_ready()
            yield running
        finally:
            await running.stop()

    async def _run(self) -> None:
        self.exit_code = await Operator(self.settings, clock=self._clock).run(self._stop)

    async def stop(self) -> None:
        """SIGTERM's way out; harmless the second time. Raises what ended the operator, if anything did."""
        self._stop.set()
        async with asyncio.timeout(60):
            await self._task

    async def die(self) -> None:
        """End as a killed process does: nothing is drained, the Lease is kept."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = asyncio.create_task(asyncio.sleep(0))

    async def wait_ready(self, timeout: float = 60) -> None:
        """Until /readyz says so; raises AssertionError with what it says instead."""
        try:
            await eventually(self.ready, timeout=timeout)
        except NeverHappened as error:
            raise AssertionError(f"the operator is not ready: {await self.problems()}") from error

    async def ready(self) -> bool:
        """Whether /readyz says so; raises when the operator has ended."""
        if self._task.done():
            raise RuntimeError(f"the operator has ended with {self.exit_code}") from self._task.exception()
        return (await self._get("readyz"))[0] == 200

    async def problems(self) -> str:
        """What /readyz says."""
        return (await self._get("readyz"))[1]

    async def metrics(self) -> str:
        """The text of /metrics."""
        return (await self._get("metrics"))[1]

    async def looks(self, controller: str) -> int:
        """How many reconciles of a controller have ended, whatever with: one may wait for what is not known yet."""
        name = f'controller_runtime_reconcile_total{{controller="{controller}",'
        lines = [line for line in (await self.metrics()).splitlines() if line.startswith(name)]
        return int(sum(float(line.rpartition(" ")[2]) for line in lines))

    async def debug(self) -> dict[str, Any]:
        """What /debug/keys shows."""
        shown: dict[str, Any] = json.loads((await self._get("debug/keys"))[1])
        return shown

    async def _get(self, path: str) -> tuple[int, str]:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{self.address}/{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError as error:
            return 0, str(error)
