"""Whose turn it is to read a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.expose.manifests import AppKey, tenant_of
from wasmcloud_operator.kube.queue import WorkQueue


@dataclass(frozen=True)
class Lattice:
    number: int
    name: str = "default"


LATTICE: Any = Lattice(1)
NAMESAKE: Any = Lattice(2)


async def test_lattices_of_one_name_take_turns():
    """Whoever runs a NATS server may call a lattice there as somebody else's is called."""
    queue: WorkQueue[AppKey] = WorkQueue("manifest", VirtualClock(), tenant=tenant_of)
    queue.open()
    for number in range(100):
        queue.add(AppKey(LATTICE, f"app-{number}"))
    queue.add(AppKey(NAMESAKE, "shop"))
    served = []
    for _ in range(2):
        key, _ = await queue.get()
        served.append(key.application)
        queue.done(key)
    assert served == ["app-0", "shop"]
