"""The wadm in memory answers and pushes what a real one does: the same conversation with both."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import nats
import pytest

from model.sequences import application_spec
from model.virtualloop import VirtualLoop
from testbed import NatsServer, Server, eventually
from wasmcloud_operator.lattice.testing import (
    LatticeHost,
    ScriptedHost,
    ScriptedMessage,
    ScriptedNats,
    ScriptedWadm,
    SharedLattice,
)

Json = dict[str, Any]
Ask = Callable[[str, Json | None], Awaitable[Json]]

_OPERATIONS = 60


def operations(seed: int) -> Iterator[tuple[str, Json | None]]:
    """Requests about two applications, most of which make sense."""
    chance = random.Random(seed)
    for _ in range(_OPERATIONS):
        name, version = chance.choice(("shop", "blog")), chance.choice(("v1", "v2", "v3"))
        yield chance.choice(
            (
                ("put", manifest(name, version, chance.randint(1, 2))),
                ("put", manifest(name, version, chance.randint(1, 2))),
                (f"deploy.{name}", {"version": version}),
                (f"deploy.{name}", {}),
                (f"undeploy.{name}", {}),
                (f"del.{name}", {"version": version}),
                (f"del.{name}", {}),
                (f"get.{name}", {}),
                (f"get.{name}", {"version": version}),
                (f"versions.{name}", None),
                ("get", None),
            )
        )


def manifest(name: str, version: str, image: int) -> Json:
    metadata = {"name": name, "annotations": {"version": version}}
    spec = application_spec(image, 8080)
    return {"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": metadata, "spec": spec}


def read_of(answer: Json) -> Json:
    """Returns what the operator reads of an answer."""
    found = {key: answer[key] for key in ("result", "total_versions", "current_version", "undeploy") if key in answer}
    if answer.get("result") == "error":
        found["message"] = "already exists" in answer["message"] or "does not have a version" in answer["message"]
    if "versions" in answer:
        found["versions"] = {one["version"]: one["deployed"] for one in answer["versions"]}
    if answer.get("manifest"):
        metadata, components = answer["manifest"]["metadata"], answer["manifest"]["spec"]["components"]
        images = [component["properties"]["image"] for component in components]
        found["manifest"] = (metadata["annotations"]["version"], images)
    if "models" in answer:
        models = sorted(answer["models"], key=lambda one: one["name"])
        found["models"] = [(one["name"], one["version"], one["deployed_version"] or "") for one in models]
    return found


async def conversation(ask: Ask, seed: int) -> list[tuple[str, Json]]:
    return [(operation, read_of(await ask(operation, body))) for operation, body in operations(seed)]


async def life(ask: Ask, settled: Callable[[str], Awaitable[None]]) -> None:
    """One application: deployed, changed, undeployed and deployed again, deleted."""
    await ask("put", manifest("shop", "v1", 1))
    await ask("deploy.shop", {"version": "v1"})
    await settled("deployed")
    await ask("put", manifest("shop", "v2", 2))
    await ask("deploy.shop", {"version": "v2"})
    await settled("deployed")
    await ask("undeploy.shop", {})
    await settled("undeployed")
    await ask("deploy.shop", {})
    await settled("deployed")
    await ask("del.shop", {})


class Real:
    """A lattice of its own with a real wadm."""

    def __init__(self, client: Any) -> None:
        self.client, self.lattice = client, f"lattice-{secrets.token_hex(3)}"
        self.pushes: list[str] = []
        self.statuses: list[Json] = []

    async def ask(self, operation: str, body: Json | None) -> Json:
        headers = {"Content-Type": "application/json"} if operation == "put" else None
        payload = b"" if body is None else json.dumps(body).encode()
        subject = f"wadm.api.{self.lattice}.model.{operation}"
        answer = await self.client.request(subject, payload, timeout=30, headers=headers)
        found: Json = json.loads(answer.data)
        return found

    async def listen(self) -> None:
        async def take(message: Any) -> None:
            note(self.pushes, self.statuses, json.loads(message.data))

        await self.client.subscribe(f"wadm.status.{self.lattice}.*", cb=take)
        await self.client.subscribe(f"wadm.evt.{self.lattice}.>", cb=take)
        await self.client.flush()

    async def settled(self, word: str) -> None:
        async def there() -> bool:
            return bool((await self.ask("status.shop", None))["status"]["status"]["type"] == word)

        await eventually(there, timeout=120, message=f"shop is {word}")


class Double:
    """The same in memory."""

    lattice = "lattice"

    def __init__(self) -> None:
        self.server = ScriptedNats("nats")
        self.wadm = ScriptedWadm(self.server)
        self.wadm.start()
        self.pushes: list[str] = []
        self.statuses: list[Json] = []
        self._inboxes = 0

    async def ask(self, operation: str, body: Json | None) -> Json:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def take(message: ScriptedMessage) -> None:
            answered.set_result(message.data)

        self._inboxes += 1
        inbox = self.server.subscribe(f"_INBOX.{self._inboxes}", take)
        payload = b"" if body is None else json.dumps(body).encode()
        self.server.publish(f"wadm.api.{self.lattice}.model.{operation}", payload, inbox.subject)
        found: Json = json.loads(await answered)
        await inbox.unsubscribe()
        return found

    def listen(self) -> None:
        async def take(message: ScriptedMessage) -> None:
            note(self.pushes, self.statuses, json.loads(message.data))

        self.server.subscribe(f"wadm.status.{self.lattice}.*", take)
        self.server.subscribe(f"wadm.evt.{self.lattice}.>", take)

    async def settled(self, word: str) -> None:
        await asyncio.sleep(5)
        assert (await self.ask("status.shop", None))["status"]["status"]["type"] == word


def note(pushes: list[str], statuses: list[Json], body: Json) -> None:
    """Records a push; the states in between are wadm's own."""
    if "type" in body:
        pushes.append(body["type"])
    else:
        statuses.append(body)


def in_memory(play: Callable[[Double], Awaitable[Any]]) -> Any:
    async def played() -> Any:
        return await play(Double())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(played())


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_both_answer_the_same(nats_server: NatsServer, wadm: Server, seed: int) -> None:
    expected = await asyncio.to_thread(in_memory, lambda double: conversation(double.ask, seed))
    client = await nats.connect(nats_server.url)
    try:
        assert await conversation(Real(client).ask, seed) == expected
    finally:
        await client.close()


async def test_both_push_the_same(nats_server: NatsServer, wadm: Server) -> None:
    async def played(double: Double) -> Double:
        double.listen()
        host = ScriptedHost("NHOST", double.lattice, {}, double.server)
        host.start()
        double.wadm.hosts.append(host)
        await life(double.ask, double.settled)
        await asyncio.sleep(5)
        host.stop()
        return double

    expected = await asyncio.to_thread(in_memory, played)
    client = await nats.connect(nats_server.url)
    try:
        real = Real(client)
        await real.listen()
        async with LatticeHost.running(nats_server.url, SharedLattice(real.lattice), heartbeat=3.0):
            await life(real.ask, real.settled)
            await eventually(lambda: len(real.pushes) >= len(expected.pushes), message="as many events")
            rests = len(words(expected.statuses))
            await eventually(lambda: len(words(real.statuses)) >= rests, message="as many statuses")
        assert real.pushes == expected.pushes
        assert words(real.statuses) == words(expected.statuses)
        assert new_ids(real.statuses) == new_ids(expected.statuses)
    finally:
        await client.close()


def words(statuses: list[Json]) -> list[str]:
    """The states in which it came to rest, each once in a row."""
    reported = [
        status["status"]["type"] for status in statuses if status["status"]["type"] in ("deployed", "undeployed")
    ]
    return [word for before, word in zip(["", *reported], reported, strict=False) if before != word]


def new_ids(statuses: list[Json]) -> list[bool]:
    """For each time that it came to be deployed, whether its scalers have other ids than the time before."""
    deployed = [status for status in statuses if status["status"]["type"] == "deployed"]
    seen = [frozenset(scaler["id"] for scaler in status["scalers"]) for status in deployed]
    reported = [ids for before, ids in zip([None, *seen], seen, strict=False) if ids != before]
    return [before != ids for before, ids in zip([None, *reported], reported, strict=False)]
