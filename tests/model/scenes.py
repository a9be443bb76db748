"""An Application that runs in memory, and what becomes of it: the start of every scene."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from model.expected import faults
from model.sequences import application_spec
from model.virtualloop import VirtualLoop
from model.world import ADDRESSES, World, without_collections
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.resources import SERVICE, Key
from wasmcloud_operator.lattice.testing import ScriptedModel, ScriptedWadm

Json = dict[str, Any]

HUB, _, OTHER = ADDRESSES
SHOP = Key("a", "shop")


class Scene:
    """A world with an Application that runs, and the reasons of all its Events."""

    def __init__(self) -> None:
        self.world = World(random.Random(1))
        self.reasons: list[str] = []
        self.world.cluster.watchers.append(self._watch)

    async def begin(self) -> None:
        self.world.start()
        self.world.pool("a", "p", "one", HUB)
        self.world.application(*SHOP, application_spec(1, 8080), {})
        await asyncio.sleep(20)
        assert list(faults(self.world)) == []
        self.reasons.clear()

    @property
    def wadm(self) -> ScriptedWadm:
        return self.world.wadms["hub"]

    @property
    def stored(self) -> ScriptedModel | None:
        """What wadm has of the shop."""
        return self.wadm.models("one").get("shop")

    def item(self, key: Key = SHOP) -> Json:
        return self.world.cluster.all(APPLICATION)[key]

    def phase(self, key: Key = SHOP) -> str:
        return str(self.item(key)["status"]["phase"])

    def service(self) -> Json | None:
        return self.world.cluster.get(SERVICE, SHOP)

    def annotate(self, **annotations: str) -> None:
        entries = {f"k8s.wasmcloud.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.world.application(*SHOP, application_spec(1, 8080), entries)

    def _watch(self, _: Json | None, new: Json | None) -> None:
        if new is not None and new["kind"] == "Event":
            self.reasons.append(new["reason"])
        if new is not None and new["kind"] == APPLICATION.kind:
            entries = (new.get("status") or {}).get("conditions") or ()
            self.reasons += [entry["reason"] for entry in entries if entry["type"] == "Ready"]


def play(scene: Callable[[Scene], Awaitable[None]]) -> Scene:
    async def played() -> Scene:
        made = Scene()
        with without_collections():
            await made.begin()
            await scene(made)
            await made.world.kill()
        return made

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(played())
