"""A conversation with wadm by the operator's client: what is asked of it, and what each release made of that.

What real ones answered is kept in `conversations/`, a file for each release. To record that of the release that
`TESTBED_WADM` names anew: `PYTHONPATH=tests python -m support.wadm.conversation`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed import NatsServer, Wadm, eventually
from testbed.components import COMPONENTS
from testbed.wadm import PROGRAM
from testbed.waiting import in_one_task
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.connection_pool import ConnectionPool
from wasmcloud_operator.lattice.connection_types import Channel
from wasmcloud_operator.lattice.errors import WadmError
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice
from wasmcloud_operator.lattice.wadm import WadmWriter
from wasmcloud_operator.lattice.wadm_types import AppStatus, ModelSummary, StatusType

RECORDINGS = Path(__file__).parent / "conversations"
VERSION = COMPONENTS[PROGRAM].version
MINOR = int(VERSION.split(".")[1])

Json = dict[str, Any]
Outcomes = dict[str, Any]


def manifest(name: str, version: str, *, image: str = "x/web:1", component_id: str = "", target: object = None) -> Json:
    """An application of one component; with a link where there is a target of one."""
    web: Json = {
        "name": "web",
        "type": "component",
        "properties": {"image": image, "id": component_id or f"{name}-web"},
        "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
    }
    components = [web]
    if target is not None:
        interface = {"namespace": "wasi", "package": "keyvalue", "interfaces": ["store"]}
        web["traits"].append({"type": "link", "properties": {"target": target, **interface}})
        components.append({**copy.deepcopy(web), "name": "other", "properties": {"image": image, "id": f"{name}-o"}})
        del components[1]["traits"][1]
    metadata = {"name": name, "annotations": {"version": version}, "labels": {"team": "grüße"}}
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": metadata,
        "spec": {"components": components},
    }


async def converse(wadm: WadmWriter) -> Outcomes:
    """What came of each request, by what it is for: what the client returns, or the name of the error it raises."""
    seen: Outcomes = {}

    async def ask(what: str, request: Awaitable[Any], take: Callable[[Any], Any] = lambda answer: answer) -> None:
        try:
            seen[what] = take(await request)
        except WadmError as error:
            seen[what] = type(error).__name__

    async def reaches(word: StatusType) -> None:
        async def there() -> bool:
            return (await wadm.status("shop")).info.type is word

        await eventually(there, timeout=90, message=f"shop is {word}")

    await ask("list of nothing", wadm.list(), _names)
    await ask("get of an unknown one", wadm.get("nobody"))
    await ask("versions of an unknown one", wadm.versions("nobody"))
    await ask("status of an unknown one", wadm.status("nobody"), _word)
    await ask("deploy of an unknown one", wadm.deploy("nobody"))
    await ask("undeploy of an unknown one", wadm.undeploy("nobody"))
    await ask("delete of an unknown one", wadm.delete("nobody"))

    await ask("put", wadm.put(manifest("shop", "v1")), lambda put: (put.version, put.total_versions))
    await ask("put of the same version", wadm.put(manifest("shop", "v1")))
    await ask("put of another version", wadm.put(manifest("shop", "v2", image="x/web:2")), lambda put: put.version)
    await ask("put of what is no manifest", wadm.put({"kind": "Application"}))
    await ask("put of two components of one name", wadm.put(_twice(manifest("twice", "v1"))))
    await ask("put of a link to a name", wadm.put(manifest("named", "v1", target="other")), lambda put: put.version)
    target = {"name": "other", "config": []}
    await ask("put of a link with a target", wadm.put(manifest("linked", "v1", target=target)), lambda put: put.version)
    await ask("versions", wadm.versions("shop"), _deployed)
    await ask("get", wadm.get("shop"), lambda found: found["metadata"]["annotations"]["version"])
    await ask("get of a version", wadm.get("shop", "v1"), lambda found: (_image(found), found["metadata"]["labels"]))
    await ask("get of an unknown version", wadm.get("shop", "v9"))
    await ask("status before a deploy", wadm.status("shop"), _word)
    await ask("deploy of an unknown version", wadm.deploy("shop", "v9"))

    await ask("deploy", wadm.deploy("shop", "v1"))
    await reaches(StatusType.DEPLOYED)
    await ask("status", wadm.status("shop"), lambda found: (_word(found), _scalers(found)))
    await ask("list", wadm.list(), lambda found: [_summary(one) for one in found if one.name == "shop"])
    await ask("versions with a deployed one", wadm.versions("shop"), _deployed)
    await wadm.put(manifest("rival", "v1", component_id="shop-web"))
    await ask("deploy of what another one has", wadm.deploy("rival"))
    await ask("deploy of another version", wadm.deploy("shop", "v2"))
    await ask("versions after it", wadm.versions("shop"), _deployed)
    await reaches(StatusType.DEPLOYED)
    await ask("undeploy", wadm.undeploy("shop"))
    await ask("undeploy again", wadm.undeploy("shop"))
    await reaches(StatusType.UNDEPLOYED)
    await ask("versions after that", wadm.versions("shop"), _deployed)
    await ask("delete of a version", wadm.delete("shop", "v1"))
    await ask("delete of it again", wadm.delete("shop", "v1"))
    await ask("versions that are left", wadm.versions("shop"), _deployed)
    for name in ("shop", "rival", "named", "linked"):
        await ask(f"delete of {name}", wadm.delete(name))
    await ask("list of what is left", wadm.list(), _names)
    return seen


def _names(found: tuple[ModelSummary, ...]) -> list[str]:
    return sorted(one.name for one in found)


def _word(found: AppStatus) -> str:
    return found.info.type.value


def _scalers(found: AppStatus) -> list[str]:
    return [scaler.info.type.value for scaler in found.scalers]


def _summary(found: ModelSummary) -> tuple[str, str, str]:
    return found.version, found.deployed_version, found.status.type.value


def _deployed(found: tuple[Any, ...]) -> dict[str, bool]:
    return {entry.version: entry.deployed for entry in found}


def _image(found: Json) -> str:
    return str(found["spec"]["components"][0]["properties"]["image"])


def _twice(found: Json) -> Json:
    found["spec"]["components"] *= 2
    return found


@dataclass
class Exchange:
    """A request without the part of its subject that all have, and its answer."""

    operation: str
    body: Any
    answer: Any


@dataclass
class Recorder:
    """The requests of a channel, and what came back."""

    channel: Channel
    exchanges: list[Exchange] = field(default_factory=list)

    async def request(
        self, subject: str, payload: bytes = b"", *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        answer = await self.channel.request(subject, payload, timeout=60, headers=headers)
        said = Exchange(_operation(subject), json.loads(payload or b"null"), _without_backtrace(json.loads(answer)))
        if self.exchanges[-1:] != [said]:  # while something is waited for, the same is asked and answered often
            self.exchanges.append(said)
        return answer


@dataclass
class Replay:
    """A channel on which a conversation goes as it went when it was recorded.

    What is asked again, as when something is waited for, is answered by the next of its kind, or as before.
    """

    exchanges: list[Exchange]
    position: int = -1

    async def request(
        self, subject: str, payload: bytes = b"", *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        asked = (_operation(subject), json.loads(payload or b"null"))
        following = self.exchanges[self.position + 1 : self.position + 2]
        if [(each.operation, each.body) for each in following] == [asked]:
            self.position += 1
        current = self.exchanges[self.position]
        assert (current.operation, current.body) == asked, f"{asked} is asked after {current.operation}"
        return json.dumps(current.answer).encode()


def _operation(subject: str) -> str:
    return subject.split(".", 4)[4]


def _without_backtrace(answer: Any) -> Any:
    """The addresses of a program in an error are of no use, and long."""
    if isinstance(answer, dict) and "Stack backtrace:" in str(answer.get("message")):
        return {**answer, "message": answer["message"].partition("Stack backtrace:")[0] + "Stack backtrace:\n   0: x"}
    return answer


def recorded(version: str) -> Replay:
    """The conversation with that release."""
    told = json.loads((RECORDINGS / f"{version}.json").read_text(encoding="utf-8"))
    return Replay([Exchange(each["ask"], each["with"], each["answer"]) for each in told])


async def record() -> None:
    """Write down what the wadm of the testbed answers."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            NatsServer.start(Path(folder)) as server,
            Wadm.start(Path(folder), server.url),
            LatticeHost.running(server.url, SharedLattice(), heartbeat=3.0),
            in_one_task(ConnectionPool()) as pool,
        ):
            connection = pool.acquire(ConnectionSpec((server.url,))).connection
            await eventually(lambda: connection.state.connected)
            recorder = Recorder(connection)
            outcomes = await converse(WadmWriter(recorder, "default", gate=AlwaysOpen(), timeout=60))
    lines = [
        json.dumps({"ask": each.operation, "with": each.body, "answer": each.answer}, ensure_ascii=False)
        for each in recorder.exchanges
    ]
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    (RECORDINGS / f"{VERSION}.json").write_text(text, encoding="utf-8")
    for what, outcome in outcomes.items():
        print(f"{what}: {outcome}")


if __name__ == "__main__":
    asyncio.run(record())
