"""Random sequences of what users, outages and restarts do, and what must hold after and during each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from model.expected import Expected, Place, annotations, faults, wants_service
from model.virtualloop import VirtualLoop
from model.world import ADDRESSES, LATTICES, NAMESPACES, World, without_collections
from support.objects.good_manifest import link as http_link
from wasmcloud_operator.application.naming import DELETION_POLICY, FINALIZER, LATTICE, ORPHAN, UNDEPLOY
from wasmcloud_operator.expose.naming import APPLICATION as APPLICATION_OF
from wasmcloud_operator.expose.naming import APPLICATION_NAMESPACE, SERVICE
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.lattice.testing import ScriptedModel

Json = dict[str, Any]

NAMES = ("shop", "blog")
POOLS = ("p", "q")
_QUIET_SECONDS = 200.0
_MUCH_LATER_SECONDS = 1200.0
_PAUSES = (0.0, 0.0, 0.05, 0.5, 3.0, 12.0, 70.0)
_LONGEST = 14
# After so long without an edit in a namespace an operator that runs knows what is wanted there.
_AWARE_SECONDS = 10.0


@dataclass
class Sequence:
    """One run: its steps as text, and what was found wrong."""

    seed: int
    steps: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}:", *self.steps, "faults:", *self.faults])


def run(seed: int, *, steps: int | None = None) -> Sequence:
    """Play the sequence of that seed. `steps` cuts it short."""
    random.seed(seed)  # what the operator leaves to chance
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_played(seed, steps))


async def _played(seed: int, steps: int | None) -> Sequence:
    chance = random.Random(seed)
    world, sequence = World(chance), Sequence(seed)
    player = _Player(world, chance, sequence)
    with without_collections():
        world.start()
        await asyncio.sleep(1.0)
        count = chance.randint(3, _LONGEST)
        for _ in range(count if steps is None else min(steps, count)):
            await player.step()
        player.note("heal")
        world.heal()
        await asyncio.sleep(_QUIET_SECONDS)
        found = list(faults(world))
        if found:
            await asyncio.sleep(_MUCH_LATER_SECONDS)
            still = list(faults(world))
            found = [f"{one} (for good)" if one in still else f"{one} (late)" for one in found]
        sequence.faults += found
        await world.kill()
    return sequence


class _Player:
    """Takes random steps, and watches what must never happen meanwhile."""

    def __init__(self, world: World, chance: random.Random, sequence: Sequence) -> None:
        self.world, self.chance, self.sequence = world, chance, sequence
        world.cluster.watchers.append(self._watch)
        for system, wadm in world.wadms.items():
            wadm.on_end = partial(self._watch_end, system)
        self._edited: dict[str, float] = {}
        self._exposed_since: dict[Key, float] = {}
        self._specs: dict[tuple[str, int], Json] = {}

    def note(self, text: str) -> None:
        self.sequence.steps.append(f"{self.world.clock.monotonic():8.2f} {text}")

    async def step(self) -> None:
        name, act = self.chance.choice(_ACTIONS)
        did = act(self)
        if did is not None:
            self.note(f"{name} {did}")
        if name == "restart":
            await self._restart()
        pause = self.chance.choice(_PAUSES)
        await asyncio.sleep(pause)

    # --- what users do ------------------------------------------------------------------------------------------------

    def apply(self) -> str:
        key = self._some_application()
        steering: dict[str, str] = {}
        for annotation, value, probability in (
            (UNDEPLOY, "true", 0.15),
            (SERVICE, "false", 0.15),
            (DELETION_POLICY, ORPHAN, 0.1),
            (LATTICE, self.chance.choice(LATTICES), 0.3),
        ):
            if self.chance.random() < probability:
                steering[annotation] = value
        spec = application_spec(self.chance.randint(1, 3), self.chance.choice((0, 8080, 8081)))
        self.world.application(*key, spec, steering)
        return f"{key} {steering} {_short(spec)}"

    def delete(self) -> str:
        key = self._some_application()
        self._forget_if_orphan(key)
        self.world.cluster.delete(APPLICATION, key)
        return str(key)

    def strip(self) -> str | None:
        """`kubectl replace` without the finalizer, and perhaps a deletion before anybody can put it back."""
        key = self._some_application()
        item = self.world.cluster.get(APPLICATION, key)
        if item is None:
            return None
        if item["metadata"].get("deletionTimestamp"):
            self.world.left.add(item["metadata"]["uid"])
        self.world.cluster.change(APPLICATION, key, lambda body: body["metadata"].pop("finalizers", None))
        return str(key)

    def pool(self) -> str:
        namespace, name = self.chance.choice(NAMESPACES), self.chance.choice(("p", "p", "p", "q"))
        lattice, address = self.chance.choice(("one", "one", "two")), self.chance.choice(ADDRESSES)
        self.world.pool(namespace, name, lattice, address)
        return f"{namespace}/{name} {lattice} {address}"

    def drop_pool(self) -> str:
        key = Key(self.chance.choice(NAMESPACES), self.chance.choice(POOLS))
        self.world.cluster.delete(HOST_CONFIG, key)
        return str(key)

    # --- what happens -------------------------------------------------------------------------------------------------

    def nats_down(self) -> str:
        system = self.chance.choice(list(self.world.systems.values()))
        if system.up:
            system.stop()
            return f"{system.name} stops"
        system.start()
        return f"{system.name} starts"

    def nats_silent(self) -> str:
        system = self.chance.choice(list(self.world.systems.values()))
        system.silent = not system.silent
        return f"{system.name} {'silent' if system.silent else 'speaks'}"

    def wadm_down(self) -> str:
        name, wadm = self.chance.choice(list(self.world.wadms.items()))
        if wadm.up:
            wadm.stop()
            return f"{name} stops"
        wadm.start()
        return f"{name} starts"

    def wadm_loses(self) -> str:
        name, wadm = self.chance.choice(list(self.world.wadms.items()))
        wadm.swallow = 0.0 if wadm.swallow else 0.5
        return f"{name} {wadm.swallow}"

    def watches_cut(self) -> str:
        self.world.cluster.cut_streams()
        return ""

    def pod_dies(self) -> str | None:
        pods = sorted(self.world.cluster.all(POD))
        if not pods:
            return None
        key = self.chance.choice(pods)
        name = self.world.cluster.all(POD)[key]["metadata"]["labels"]["of"]
        self.world.cluster.delete(POD, key)
        asyncio.get_running_loop().call_later(1.0, self.world.roll_out, Key(key.namespace, name))
        return str(key)

    def restart(self) -> str:
        return "of the operator"

    async def _restart(self) -> None:
        await self.world.kill()
        for _ in range(self.chance.randint(0, 3)):
            await self.step()
        if not self.world.running:
            self.note("the operator starts")
            self.world.start()

    # --- what must never happen ---------------------------------------------------------------------------------------

    def _watch(self, old: Json | None, new: Json | None) -> None:
        body = new or old or {}
        if body["kind"] == APPLICATION.kind:
            self._watch_application(old, new)
        elif body["kind"] == HOST_CONFIG.kind and (old or {}).get("spec") != (new or {}).get("spec"):
            self._edited[body["metadata"]["namespace"]] = self.world.clock.monotonic()
        elif body["kind"] == "Service" and new is None and old is not None:
            self._watch_service(old)

    def _watch_application(self, old: Json | None, new: Json | None) -> None:
        body = new or old or {}
        meta = body["metadata"]
        self._specs[meta["uid"], meta["generation"]] = body["spec"]
        if (
            old is None
            or new is None
            or old["metadata"] != {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}
        ):
            self._edited[meta["namespace"]] = self.world.clock.monotonic()
        if wants_service(new) and not wants_service(old):
            self._exposed_since[Key(meta["namespace"], meta["name"])] = self.world.clock.monotonic()
        if new is None and FINALIZER not in meta.get("finalizers", ()):
            self.world.left.add(meta["uid"])  # nobody could know
        before, now = ((one or {}).get("status") or {} for one in (old, new))
        if now.get("phase") == "Deployed" and before.get("phase") != "Deployed":
            self._watch_deployed(meta, now)

    def _watch_deployed(self, meta: Json, status: Json) -> None:
        """`Deployed` is written of what runs: of the version that was looked at, by wadm's workers."""
        wanted = self._specs.get((meta["uid"], status["observedGeneration"]))
        scaled = [
            model.scaled["spec"]
            for wadm in self.world.wadms.values()
            for model in (wadm.models(status["lattice"]).get(meta["name"]),)
            if model is not None and model.scaled is not None
        ]
        if wanted not in scaled:
            self._fault(f"{meta['namespace']}/{meta['name']} is Deployed before it runs")

    def _watch_service(self, service: Json) -> None:
        """A Service goes only when nobody wants it, or when nobody did until a moment ago."""
        did = annotations(service)
        key = Key(did.get(APPLICATION_NAMESPACE, ""), did.get(APPLICATION_OF, ""))
        pools = self.world.cluster.all(HOST_CONFIG)
        if not any(at.namespace == service["metadata"]["namespace"] for at in pools) and not self._is_at_home(service):
            return
        if not key.name or not wants_service(self.world.cluster.get(APPLICATION, key)):
            return
        if self.world.clock.monotonic() - self._exposed_since[key] > _AWARE_SECONDS:
            self._fault(f"Service {service['metadata']['namespace']}/{service['metadata']['name']} is deleted")

    def _is_at_home(self, service: Json) -> bool:
        return annotations(service).get(APPLICATION_NAMESPACE) == service["metadata"]["namespace"]

    def _watch_end(self, system: str, lattice: str, model: ScriptedModel) -> None:
        """What an Application wants to run, in the only place for it, is not taken out there."""
        expected = Expected(self.world)
        item = expected.by_uid.get(expected.owner(model))
        if item is None or item["metadata"].get("deletionTimestamp") or annotations(item).get(UNDEPLOY) == "true":
            return
        quiet = self.world.clock.monotonic() - self._edited[item["metadata"]["namespace"]] > _AWARE_SECONDS
        if quiet and expected.places(item) == {Place(system, lattice)}:
            self._fault(f"{model.name} is taken out of {system} {lattice}, where it is wanted")

    def _fault(self, text: str) -> None:
        self.sequence.faults.append(f"at {self.world.clock.monotonic():.2f}: {text}")

    def _some_application(self) -> Key:
        return Key(self.chance.choice(("a", "a", "b")), self.chance.choice(NAMES))

    def _forget_if_orphan(self, key: Key) -> None:
        item = self.world.cluster.get(APPLICATION, key)
        if item is not None and annotations(item).get(DELETION_POLICY) == ORPHAN:
            self.world.left.add(item["metadata"]["uid"])


_ACTIONS: tuple[tuple[str, Callable[[_Player], str | None]], ...] = (
    *(("apply", _Player.apply),) * 6,
    *(("pool", _Player.pool),) * 4,
    *(("delete", _Player.delete),) * 2,
    ("drop pool", _Player.drop_pool),
    ("strip", _Player.strip),
    ("nats", _Player.nats_down),
    ("nats", _Player.nats_silent),
    ("wadm", _Player.wadm_down),
    ("wadm loses answers", _Player.wadm_loses),
    ("watches cut", _Player.watches_cut),
    ("pod dies", _Player.pod_dies),
    *(("restart", _Player.restart),) * 2,
)


def application_spec(image: int, port: int) -> Json:
    """A component, and with a port an HTTP server that leads to it."""
    scaler = {"type": "spreadscaler", "properties": {"instances": 1}}
    web = {"name": "web", "type": "component", "properties": {"image": f"x/web:{image}"}, "traits": [scaler]}
    if not port:
        return {"components": [web]}
    link = http_link(address=f"0.0.0.0:{port}", config=f"at-{port}")
    server = {
        "name": "server",
        "type": "capability",
        "properties": {"image": "x/http-server:1"},
        "traits": [link, scaler],
    }
    return {"components": [web, server]}


def _short(spec: Json) -> str:
    def words() -> Iterator[str]:
        for one in spec["components"]:
            yield one["properties"]["image"]
            for trait in one["traits"]:
                for config in trait["properties"].get("source", {}).get("config", ()):
                    yield config["properties"]["address"]

    return " ".join(words())
