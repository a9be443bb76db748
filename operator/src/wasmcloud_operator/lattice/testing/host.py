"""A wasmCloud host for tests, without a runtime: everything that a lattice sees of a host 1.x, and nothing that runs.

It answers the control interface (ping, inventory, config, links, labels, registries, starting and stopping providers,
scaling components) and publishes the host's events, with the JSON of the crates wasmcloud-host 0.27 and
wasmcloud-control-interface 2.4. A real wadm deploys applications onto it. What is different from a real host:

- images are never fetched, so any reference starts; what does not run yet takes `start_delay` seconds. The default lets
  wadm's stop of a former version come first, as it mostly does while a host fetches the new one. Claims are never
  present;
- configurations and links live in a `SharedLattice` that the hosts of a test share, not in JetStream buckets;
- auctions are not answered (wadm does not hold any), policies and secrets are not asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from wasmcloud_operator.base.jsontypes import JsonObject

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
HTTP_SERVER = "ghcr.io/wasmcloud/http-server:0.27.0"


@dataclass
class SharedLattice:
    """What hosts of one lattice share."""

    name: str = "default"
    control_prefix: str = "wasmbus.ctl"
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    links: list[JsonObject] = field(default_factory=list)


def new_host_id() -> str:
    """As long and of the same letters as a host's public nkey."""
    return "N" + "".join(secrets.choice(_BASE32) for _ in range(55))


def _ok(message: str = "", response: object = None) -> JsonObject:
    return {"success": True, "message": message, **({} if response is None else {"response": response})}


def _refused(message: str) -> JsonObject:
    return {"success": False, "message": message}


class LatticeHost:
    """One host. `running` is one that is connected: host_started is published, and host_stopped at the end."""

    def __init__(
        self,
        client: Client,
        lattice: SharedLattice,
        *,
        labels: Mapping[str, str] | None = None,
        friendly_name: str = "",
        version: str = "1.9.0",
        host_id: str = "",
        heartbeat: float = 30.0,
        start_delay: float = 0.2,
    ) -> None:
        self.id = host_id or new_host_id()
        self.lattice = lattice
        self.labels = dict(labels or {})
        self.friendly_name = friendly_name or f"quiet-host-{self.id[1:5].lower()}"
        self.version = version
        self.providers: dict[str, JsonObject] = {}
        self.components: dict[str, JsonObject] = {}
        self.registries: dict[str, JsonObject] = {}
        self._component_configs: dict[str, list[str]] = {}
        self.answers_inventory = True  # False: asked for its inventory it stays silent
        self._client = client
        self._heartbeat = heartbeat
        self._start_delay = start_delay
        self._started = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: list[Subscription] = []

    def __repr__(self) -> str:
        return f"<LatticeHost {self.id[:8]} {self.lattice.name} providers={list(self.providers)}>"

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, url: str, lattice: SharedLattice, **options: Any) -> AsyncIterator[LatticeHost]:
        """A host connected to the NATS server at `url`, with a connection of its own, stopped in order at the end."""
        client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        host = cls(client, lattice, **options)
        try:
            await host.start()
            yield host
            await host.stop()
        finally:
            await host.crash()

    async def start(self) -> None:
        """Listen on the control interface, then publish host_started and begin the heartbeats."""
        base = f"{self.lattice.control_prefix}.v1.{self.lattice.name}"
        for subject, queue in (
            (f"{base}.registry.put", ""),
            (f"{base}.host.ping", ""),
            (f"{base}.host.*.{self.id}", ""),
            (f"{base}.component.*.{self.id}", ""),
            (f"{base}.provider.*.{self.id}", ""),
            (f"{base}.label.*.{self.id}", ""),
            (f"{base}.link.*", f"{base}.link"),
            (f"{base}.claims.get", f"{base}.claims"),
            (f"{base}.config.>", f"{base}.config"),
        ):
            self._subscriptions.append(await self._client.subscribe(subject, queue=queue, cb=self._on_message))
        await flushed(self._client)
        about = {"friendly_name": self.friendly_name, "labels": self.labels, "version": self.version}
        await self.publish("host_started", {**about, "uptime_seconds": 0})
        self._spawn(self._beat())

    async def stop(self) -> None:
        """Stop as on SIGTERM: host_stopped, and no event of providers.

        Afterwards the server knows that nobody listens: whoever asks this host has NoResponders, not silence.
        """
        if not self._client.is_closed:
            self._end_tasks()
            await self.publish("host_stopped", {"labels": self.labels})
            if self._client.is_connected:
                for subscription in self._subscriptions:
                    await subscription.unsubscribe()
                await flushed(self._client)
            await self.crash()

    async def crash(self) -> None:
        """Vanish without an event."""
        self._end_tasks()
        with contextlib.suppress(OSError):  # its server may have gone before it
            await self._client.close()

    async def publish(self, event: str, data: JsonObject) -> None:
        """Publish an event of this host, true or not."""
        envelope = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "type": f"com.wasmcloud.lattice.{event}",
            "source": self.id,
            "datacontenttype": "application/json",
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "data": data,
        }
        # Not flushed: a flush that is cancelled, as a heartbeat's may be, ends nats-py's reader at the next PONG.
        await self._client.publish(f"wasmbus.evt.{self.lattice.name}.{event}", json.dumps(envelope).encode())

    def age(self, seconds: float) -> None:
        """Be so much older from now on."""
        self._started -= seconds

    async def beat(self) -> None:
        """One heartbeat now."""
        await self.publish("host_heartbeat", self.inventory())

    def inventory(self) -> JsonObject:
        """What `host.get` answers and a heartbeat carries."""
        uptime = int(time.monotonic() - self._started)
        return {
            "components": [
                {"id": key, "revision": 0, "limits": None, **about} for key, about in self.components.items()
            ],
            "providers": [{"id": key, "revision": 0, **about} for key, about in self.providers.items()],
            "host_id": self.id,
            "friendly_name": self.friendly_name,
            "labels": self.labels,
            "version": self.version,
            "uptime_human": f"{uptime}s",
            "uptime_seconds": uptime,
        }

    async def start_provider(self, provider_id: str, image_ref: str = HTTP_SERVER, application: str = "") -> None:
        """Run a provider, as if the `application` of wadm had one, and publish that it started."""
        annotations = {"wasmcloud.dev/appspec": application, "wasmcloud.dev/managed-by": "wadm"} if application else {}
        await self._provider_started(provider_id, image_ref, annotations)

    async def stop_provider(self, provider_id: str) -> None:
        """Stop a provider, and publish that it stopped."""
        about = self.providers.pop(provider_id)
        await self.publish(
            "provider_stopped",
            {
                "host_id": self.id,
                "provider_id": provider_id,
                "annotations": about["annotations"],
                "reason": "stop",
                "instance_id": provider_id,
                "public_key": provider_id,
                "link_name": "default",
            },
        )

    async def ask_config_service(self, timeout: float = 60.0) -> JsonObject:
        """What a host with `WASMCLOUD_CONFIG_SERVICE` asks at its start; the answer's body."""
        payload = json.dumps({"labels": self.labels}).encode()
        answer = await self._client.request(f"wasmbus.cfg.{self.lattice.name}.req", payload, timeout=timeout)
        body: JsonObject = json.loads(answer.data)
        return body

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            if self._client.is_connected:
                await self.beat()

    async def _on_message(self, message: Msg) -> None:
        prefix = f"{self.lattice.control_prefix}.v1.{self.lattice.name}."
        topic, operation, *rest = message.subject.removeprefix(prefix).split(".")
        handler: Callable[[bytes, str], JsonObject | None] | None = getattr(self, f"_{topic}_{operation}", None)
        try:
            answer = handler(message.data, ".".join(rest)) if handler else _refused("unsupported subject")
        except (ValueError, KeyError, TypeError, AttributeError):
            answer = _refused(f"failed to deserialize {topic} {operation} command")
        if answer is not None and message.reply:
            await message.respond(json.dumps(answer).encode())

    def _host_ping(self, _: bytes, __: str) -> JsonObject:
        inventory = self.inventory()
        about = {
            key: inventory[key] for key in ("friendly_name", "labels", "uptime_human", "uptime_seconds", "version")
        }
        urls = {"rpc_host": "nats://127.0.0.1:4222", "ctl_host": "nats://127.0.0.1:4222"}
        place = {"lattice": self.lattice.name, "js_domain": "default"}
        return _ok(response={**urls, **place, "id": self.id, **about})

    def _host_get(self, _: bytes, __: str) -> JsonObject | None:
        return _ok(response=self.inventory()) if self.answers_inventory else None

    def _provider_start(self, data: bytes, _: str) -> JsonObject:
        request = json.loads(data)
        if request["provider_id"] in self.providers:
            return _refused("provider with that ID is already running")
        annotations = request.get("annotations") or {}
        self._spawn(self._provider_fetched(request["provider_id"], request["provider_ref"], annotations))
        return _ok("successfully started provider")

    async def _provider_fetched(self, provider_id: str, image_ref: str, annotations: dict[str, str]) -> None:
        await asyncio.sleep(self._start_delay)
        await self._provider_started(provider_id, image_ref, annotations)

    async def _provider_started(self, provider_id: str, image_ref: str, annotations: dict[str, str]) -> None:
        self.providers[provider_id] = {"image_ref": image_ref, "annotations": annotations}
        await self.publish(
            "provider_started",
            {"host_id": self.id, "image_ref": image_ref, "provider_id": provider_id, "annotations": annotations},
        )

    def _provider_stop(self, data: bytes, _: str) -> JsonObject:
        provider_id = json.loads(data)["provider_id"]
        if provider_id not in self.providers:
            return _refused("provider with that ID is not running")
        self._spawn(self.stop_provider(provider_id))
        return _ok("successfully stopped provider")

    def _component_scale(self, data: bytes, _: str) -> JsonObject:
        request = json.loads(data)
        wanted, running = request["component_ref"], self.components.get(request["component_id"])
        self._spawn(self._component_scaled(request))
        if running is None or running["image_ref"] == wanted:
            return _ok()
        return _ok(
            f"Requested to scale existing component to a different image reference: {running['image_ref']} != {wanted}."
            " The component will be scaled but the image reference will not be updated. If you meant to update this"
            " component to a new image ref, use the update command."
        )

    async def _component_scaled(self, request: JsonObject) -> None:
        """A component is found by its id alone: what runs is scaled or stopped, of whatever image was asked for.

        The event has the image and annotations of what runs then.
        """
        key, count, config = request["component_id"], request["count"], request.get("config") or []
        asked = {"image_ref": request["component_ref"], "annotations": request.get("annotations") or {}}
        if self.components.get(key, {}).get("image_ref") != asked["image_ref"]:
            await asyncio.sleep(self._start_delay)
        running = self.components.get(key)
        if not count:
            self.components.pop(key, None)
        elif running is None or running["max_instances"] != count or self._component_configs.get(key, []) != config:
            self.components[key] = {**asked, "max_instances": count}
            self._component_configs[key] = config
        about = {**(running or asked), "max_instances": count}
        await self.publish("component_scaled", {**about, "host_id": self.id, "component_id": key})

    def _config_get(self, _: bytes, name: str) -> JsonObject:
        found = self.lattice.configs.get(name)
        return _ok("Configuration not found") if found is None else _ok(response=found)

    def _config_put(self, data: bytes, name: str) -> JsonObject:
        self.lattice.configs[name] = {str(key): str(value) for key, value in json.loads(data).items()}
        self._spawn(self.publish("config_set", {"config_name": name}))
        return _ok("successfully put config")

    def _config_del(self, _: bytes, name: str) -> JsonObject:
        self.lattice.configs.pop(name, None)
        self._spawn(self.publish("config_deleted", {"config_name": name}))
        return _ok("successfully deleted config")

    def _label_put(self, data: bytes, _: str) -> JsonObject:
        request = json.loads(data)
        self.labels = {**self.labels, request["key"]: request["value"]}
        self._spawn(self.publish("labels_changed", {"host_id": self.id, "labels": self.labels}))
        return _ok("successfully put label")

    def _label_del(self, data: bytes, _: str) -> JsonObject:
        key = json.loads(data)["key"]
        if key not in self.labels:
            return _ok("successfully deleted label (no such label)")
        self.labels = {name: value for name, value in self.labels.items() if name != key}
        self._spawn(self.publish("labels_changed", {"host_id": self.id, "labels": self.labels}))
        return _ok("successfully deleted label")

    def _registry_put(self, data: bytes, _: str) -> JsonObject:
        self.registries.update(json.loads(data))
        return _ok("successfully put registries")

    def _claims_get(self, _: bytes, __: str) -> JsonObject:
        return _ok(response=[])

    def _link_get(self, _: bytes, __: str) -> JsonObject:
        return _ok(response=self.lattice.links)

    def _link_put(self, data: bytes, _: str) -> JsonObject:
        link = json.loads(data)
        self.lattice.links[:] = [other for other in self.lattice.links if not _same_link(other, link)] + [link]
        self._spawn(self.publish("linkdef_set", link))
        return _ok("successfully set link")

    def _link_del(self, data: bytes, _: str) -> JsonObject:
        request = json.loads(data)
        for link in [link for link in self.lattice.links if _same_link(link, request)]:
            self.lattice.links.remove(link)
            deleted = {key: value for key, value in link.items() if not key.endswith("_config")}
            self._spawn(self.publish("linkdef_deleted", deleted))
        return _ok("successfully deleted link")

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()


def _same_link(one: JsonObject, other: JsonObject) -> bool:
    return all(one.get(key) == other.get(key) for key in ("source_id", "name", "wit_namespace", "wit_package"))


async def flushed(client: Client) -> None:
    """Returns when the server has taken all that was sent before.

    Twice, as nats-py's PING overtakes commands that wait for its flusher; before the second one that has run.
    """
    for _ in range(2):
        await client.flush(timeout=60)
