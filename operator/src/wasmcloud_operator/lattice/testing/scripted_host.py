"""A wasmCloud host on a scripted NATS server, as far as the operator sees it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.lattice.testing.nats import ScriptedMessage, ScriptedNats, ScriptedSubscription

_HEARTBEAT_SECONDS = 30.0
_CONTROL = "wasmbus.ctl.v1"


@dataclass(eq=False)
class ScriptedHost:
    """A host of a lattice: it answers pings and inventories, beats, and starts what wadm has it start."""

    id: str
    lattice: str
    labels: dict[str, str]
    server: ScriptedNats
    providers: dict[str, JsonObject] = field(default_factory=dict)
    components: dict[str, JsonObject] = field(default_factory=dict)
    _subscriptions: list[ScriptedSubscription] = field(default_factory=list)
    _beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Answer and beat from now on."""
        base = f"{_CONTROL}.{self.lattice}"
        self._subscriptions = [
            self.server.subscribe(f"{base}.host.ping", self._pong),
            self.server.subscribe(f"{base}.host.get.{self.id}", self._get),
        ]
        self.publish("host_started", {"friendly_name": self.id, "labels": self.labels, "version": "1.9.0"})
        self._beating = asyncio.ensure_future(self._beat())

    def stop(self, *, announced: bool = True) -> None:
        """End: with an event, or as one that crashes."""
        if self._beating is not None:
            self._beating.cancel()
        if announced:
            self.publish("host_stopped", {"labels": self.labels})
        for subscription in self._subscriptions:
            subscription.end()

    def publish(self, event: str, data: JsonObject) -> None:
        """Publish an event of this host, true or not."""
        envelope = {"type": f"com.wasmcloud.lattice.{event}", "source": self.id, "data": data}
        self.server.publish(f"wasmbus.evt.{self.lattice}.{event}", json.dumps(envelope).encode())

    def run_provider(self, provider_id: str, about: JsonObject) -> None:
        """Run a provider, and publish that it started."""
        self.providers[provider_id] = about
        self.publish("provider_started", {"host_id": self.id, "provider_id": provider_id, **about})

    def end_provider(self, provider_id: str) -> None:
        """Stop a provider, and publish that it stopped."""
        about = self.providers.pop(provider_id)
        self.publish("provider_stopped", {"host_id": self.id, "provider_id": provider_id, **about})

    @property
    def inventory(self) -> JsonObject:
        """What a heartbeat and an answer have."""
        return {
            "host_id": self.id,
            "friendly_name": self.id,
            "labels": self.labels,
            "version": "1.9.0",
            "uptime_seconds": 1,
            "components": [{"id": key, **about} for key, about in self.components.items()],
            "providers": [{"id": key, **about} for key, about in self.providers.items()],
        }

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            self.publish("host_heartbeat", self.inventory)

    async def _pong(self, message: ScriptedMessage) -> None:
        about = {key: value for key, value in self.inventory.items() if key not in ("components", "providers")}
        self._answer(message, {"id": self.id, **about})

    async def _get(self, message: ScriptedMessage) -> None:
        self._answer(message, self.inventory)

    def _answer(self, message: ScriptedMessage, response: JsonObject) -> None:
        body = {"success": True, "message": "", "response": response}
        self.server.publish(message.reply, json.dumps(body).encode())
