"""Whose turn it is to read a manifest, and which of those that wadm publishes are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.expose.manifests import AppKey, ManifestReconciler, tenant_of
from wasmcloud_operator.expose.reader import ManifestReader
from wasmcloud_operator.kube.queue import WorkQueue
from wasmcloud_operator.lattice.wadm_events import parse_event


@dataclass(frozen=True)
class Lattice:
    number: int
    name: str = "default"
    ledger: Any = field(default_factory=lambda: SimpleNamespace(current=False), compare=False)


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


@pytest.mark.parametrize(("padding", "read"), [(0, False), (32 * 1024, True)], ids=["small", "large"])
async def test_a_published_manifest_is_kept_until_its_turn_unless_it_is_large(padding: int, read: bool):
    """Whoever may publish decides how many wait for their turn."""
    metadata = {"name": "shop", "annotations": {"version": "v1", "description": "x" * padding}}
    event = {"type": "com.wadm.manifest_published", "data": {"metadata": metadata, "spec": {"components": []}}}
    queries = MagicMock()
    queries.book.return_value.records = {}
    reader = AsyncMock(spec=ManifestReader)
    reconciler = ManifestReconciler(queries, reader, VirtualClock(), MagicMock())
    reconciler.published(AppKey(LATTICE, "shop"), parse_event(json.dumps(event).encode()))
    await reconciler.reconcile(AppKey(LATTICE, "shop"))
    assert reader.read.called is read
    assert reader.record.called is not read
