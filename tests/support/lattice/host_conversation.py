"""A conversation with a host over the lattice: every control subject, and what the host says by itself.

What a real host answered is kept in `integration/data/host-conversation.json`. To record it anew (with the host of the
testbed): `PYTHONPATH=tests python -m support.lattice.host_conversation`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats

from testbed import NatsServer, WasmcloudHost, build_component, eventually
from testbed.ports import free_ports
from wasmcloud_operator.lattice.testing import flushed

RECORDING = Path(__file__).parents[2] / "integration" / "data" / "host-conversation.json"
_SCHEME = "wasmcloud+builtin://"  # a host names what is built in without it
BUILTIN = f"{_SCHEME}http-server"
HEARTBEAT_SECONDS = 1.0
_APPSPEC = {"wasmcloud.dev/appspec": "shop"}
_NEXT = {**_APPSPEC, "wasmcloud.dev/scaler": "next"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A request, and the event that it brings, if any. `ID` in the subject and the body is the host's id."""

    subject: str
    body: Any = None
    event: str = ""


def steps(component: str, other: str, provider: str, address: str) -> dict[str, Step]:
    """The requests by what they are for; `other` is another image of the component."""
    link = {
        "source_id": "server",
        "target": "web",
        "name": "default",
        "wit_namespace": "wasi",
        "wit_package": "http",
        "interfaces": ["incoming-handler"],
        "source_config": ["listen"],
        "target_config": [],
    }
    about = {"source_id": "server", "name": "default", "wit_namespace": "wasi", "wit_package": "http"}
    start = {
        "host_id": "ID",
        "provider_id": "server",
        "provider_ref": provider,
        "annotations": _APPSPEC,
        "config": ["listen"],
    }
    stop = {"host_id": "ID", "provider_id": "server"}
    scale = {"host_id": "ID", "component_id": "web", "component_ref": component, "annotations": _APPSPEC, "config": []}
    update = {**scale, "component_ref": other, "annotations": _NEXT}
    return {
        "ping": Step("host.ping"),
        "inventory of an idle host": Step("host.get.ID"),
        "put config": Step("config.put.listen", {"default_address": address}, "config_set"),
        "get config": Step("config.get.listen"),
        "get unknown config": Step("config.get.unknown"),
        "put link": Step("link.put", link, "linkdef_set"),
        "get links": Step("link.get"),
        "start provider": Step("provider.start.ID", start, "provider_started"),
        "start it again": Step("provider.start.ID", start),
        "scale component": Step("component.scale.ID", {**scale, "count": 2}, "component_scaled"),
        "inventory of a busy host": Step("host.get.ID"),
        "scale it to another image": Step("component.scale.ID", {**update, "count": 2}, "component_scaled"),
        "inventory of the former image": Step("host.get.ID"),
        "scale it to more of another image": Step("component.scale.ID", {**update, "count": 3}, "component_scaled"),
        "inventory of the next image": Step("host.get.ID"),
        "scale component to none": Step("component.scale.ID", {**scale, "count": 0}, "component_scaled"),
        "scale it to none again": Step("component.scale.ID", {**scale, "count": 0}, "component_scaled"),
        "stop provider": Step("provider.stop.ID", stop, "provider_stopped"),
        "stop it again": Step("provider.stop.ID", stop),
        "delete link": Step("link.del", about, "linkdef_deleted"),
        "delete config": Step("config.del.listen", None, "config_deleted"),
        "put label": Step("label.put.ID", {"key": "zone", "value": "a"}, "labels_changed"),
        "delete label": Step("label.del.ID", {"key": "zone"}, "labels_changed"),
        "delete unknown label": Step("label.del.ID", {"key": "zone"}),
        "put registries": Step(
            "registry.put",
            {"registry.example": {"type": "oci", "username": "u", "password": "p", "registryType": "oci"}},
        ),
        "get claims": Step("claims.get"),
        "start what is no request": Step("provider.start.ID", {"nonsense": 1}),
        "unknown operation": Step("host.unknown.ID"),
    }


class Listener:
    """Hears what the hosts of a lattice say; start it before the host."""

    def __init__(self, client: Any, lattice: str) -> None:
        self._client = client
        self._lattice = lattice
        self.events: list[Json] = []

    async def start(self) -> None:
        async def on_event(message: Any) -> None:
            self.events.append({"subject": message.subject, **json.loads(message.data)})

        await self._client.subscribe(f"wasmbus.evt.{self._lattice}.>", cb=on_event)
        await flushed(self._client)

    async def wait(self, event: str, after: int = 0) -> Json:
        """The first one of that kind among those heard after the first `after`."""

        def heard() -> Json | None:
            return next((each for each in self.events[after:] if each["subject"].endswith(f".{event}")), None)

        found = await eventually(heard, message=f"{event}: {[each['subject'] for each in self.events]}")
        assert found is not None
        return found

    async def converse(self, component: str, other: str, provider: str, address: str) -> Json:
        """Answers and events by what they are for; the host is running, and says host_started first of all."""
        base = f"wasmbus.ctl.v1.{self._lattice}"
        started = await self.wait("host_started")
        host_id = started["source"]
        conversation: Json = {"host_started": started}
        for what, step in steps(component, other, provider, address).items():
            before = len(self.events)
            payload = b"" if step.body is None else json.dumps(step.body).replace("ID", host_id).encode()
            subject = f"{base}.{step.subject}".replace("ID", host_id)
            try:
                answer = json.loads((await self._client.request(subject, payload, timeout=60)).data)
            except (nats.errors.NoRespondersError, nats.errors.TimeoutError) as error:
                answer = type(error).__name__
            conversation[what] = {"answer": answer}
            if step.event:
                conversation[what]["event"] = await self.wait(step.event, before)
        conversation["host_heartbeat"] = await self.wait("host_heartbeat", len(self.events))
        images = {component: "<component>", other: "<other component>", provider.removeprefix(_SCHEME): "<provider>"}
        names = {host_id: "<host>", **images}
        return {what: normal(each, names) for what, each in conversation.items()}


_VOLATILE = {
    "id": "<uuid>",
    "time": "<time>",
    "uptime_seconds": 0,
    "uptime_human": "<uptime>",
    "friendly_name": "<name>",
    "version": "<version>",
    "rpc_host": "<nats>",
    "ctl_host": "<nats>",
    "lattice": "<lattice>",
    "default_address": "<address>",
}


def normal(value: Any, names: dict[str, str], key: str = "") -> Any:
    """The same with what differs between two hosts, or two runs of one, replaced."""
    if isinstance(value, dict):
        return {name: normal(each, names, name) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [normal(each, names) for each in value]
    if key.startswith("hostcore."):
        return f"<{key}>"
    if key == "subject":
        return value.split(".", 3)[3]
    own_id = key == "id" and isinstance(value, str) and value.count("-") != 4
    if (key in _VOLATILE and not own_id) or not isinstance(value, str):
        return _VOLATILE.get(key, value)
    for name, replacement in names.items():
        value = value.replace(name, replacement)
    return value


async def record() -> None:
    """Write down what the real host of the testbed answers."""
    component = await build_component()
    lattice, address = "recorded", f"127.0.0.1:{free_ports(1)[0]}"
    with tempfile.TemporaryDirectory() as folder:
        async with NatsServer.start(Path(folder)) as server:
            client = await nats.connect(server.url)
            listener = Listener(client, lattice)
            await listener.start()
            env = {"WASMCLOUD_HEARTBEAT_INTERVAL": str(int(HEARTBEAT_SECONDS))}
            async with WasmcloudHost.start(Path(folder), server.url, lattice=lattice, name="pod-1", env=env):
                other = shutil.copy(component, Path(folder) / "other.wasm")
                conversation = await listener.converse(component.as_uri(), other.as_uri(), BUILTIN, address)
                before = len(listener.events)
            stopped = await listener.wait("host_stopped", before)
            conversation["host_stopped"] = normal(stopped, {stopped["source"]: "<host>"})
            await client.close()
    RECORDING.write_text(json.dumps(conversation, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record())
