"""A controller on the virtual clock whose reconciles do as they are asked, and what came of it."""

from __future__ import annotations

import asyncio

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.controller import DONE, Controller, Result
from wasmcloud_operator.kube.metrics import Metrics


class Play:
    """A controller whose reconciles do as `script` says for their key, and what came of it."""

    def __init__(self, **settings) -> None:
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.script: dict = {}
        self.calls: list[tuple[str, float]] = []
        self.reported: list[tuple[str, Exception]] = []
        self.controller: Controller[str] = Controller(
            "test", self.reconcile, clock=self.clock, metrics=self.metrics, report=self.report, **settings
        )
        self.controller.start()
        self.task = asyncio.ensure_future(self.controller.run())

    async def reconcile(self, key: str) -> Result:
        self.calls.append((key, self.clock.monotonic()))
        what = self.script.get(key, DONE)
        if callable(what):
            what = await what()
        if isinstance(what, BaseException):
            raise what
        return what

    async def report(self, key: str, error: Exception) -> None:
        self.reported.append((key, error))

    def times(self, key: str) -> list[float]:
        return [at for called, at in self.calls if called == key]

    def count(self, result: str) -> float:
        return self.metrics.registry.get_sample_value(
            "controller_runtime_reconcile_total", {"controller": "test", "result": result}
        )


async def hang() -> Result:
    await asyncio.Event().wait()
    return DONE
