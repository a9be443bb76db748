"""What tests of applications share: manifests, and a namespace with a lattice of its own whose wadm can be asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import nats
import pytest

from testbed import Admin, NatsServer, eventually
from wasmcloud_operator.application import reconciler
from wasmcloud_operator.lattice import ledger
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice
from wasmcloud_operator.lattice.wadm import WadmWriter

APP = "core.oam.dev/v1beta1/Application"
CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
EVENT = "events.k8s.io/v1/Event"


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """The operator waits a fifth of its time for wadm's word after a deploy: tests mostly waited for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "SETTLE_SECONDS", ledger.SETTLE_SECONDS / 5)
        patch.setattr(reconciler, "_PUSH_SECONDS", reconciler._PUSH_SECONDS / 5)
        yield


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """The operator gives wadm a minute for an answer: a busy machine's wadm is not taken for one that lost it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WadmWriter.__init__.__kwdefaults__, "timeout", 60.0)
        yield


def host_config(namespace: str, lattice: str, nats_url: str, name: str = "pool") -> dict[str, Any]:
    return {
        "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
        "kind": "WasmCloudHostConfig",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"lattice": lattice, "version": "1.9.0", "natsAddress": nats_url},
    }


def components(image: str = "x/web:1", **properties: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": "web",
            "type": "component",
            "properties": {"image": image, **properties},
            "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
        }
    ]


def application(
    namespace: str, name: str = "hello", annotations: dict[str, str] | None = None, **properties: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "spec": {"components": components(**properties)},
    }


class FormerVersions:
    """Stops a former version of a component once wadm will not, as `wash stop component` does.

    For a new version wadm forgets the scalers of the former one, then does the rest. Where that fails (JetStream is
    stalled for 5 s) it does all of it again, without those scalers: the command to stop the former version is never
    sent. The host finds a component by its id alone and leaves what runs as it is, however often wadm asks.
    """

    PATIENCE = 40.0  # longer than wadm waits for an event, after which it has asked again

    def __init__(self, host: LatticeHost, client: Any) -> None:
        self._host = host
        self._client = client
        self._asked: dict[str, tuple[str, float]] = {}  # by component: the scaler of the version to come, since when

    async def on_scale(self, message: Any) -> None:
        command = json.loads(message.data)
        component, now = command["component_id"], asyncio.get_running_loop().time()
        running = self._host.components.get(component)
        scaler = _scaler(command)
        if running is None or not command["count"] or _scaler(running) == scaler:
            self._asked.pop(component, None)
            return
        former, since = self._asked.get(component, ("", 0.0))
        if former != scaler:
            self._asked[component] = scaler, now
        elif now - since > self.PATIENCE:
            stop = {"component_ref": running["image_ref"], "annotations": running["annotations"], "count": 0}
            await self._client.publish(message.subject, json.dumps(command | stop).encode())


def _scaler(about: dict[str, Any]) -> str:
    return str((about.get("annotations") or {}).get("wasmcloud.dev/scaler", ""))


@dataclass
class Site:
    """A namespace with a host config of a lattice of its own, and wadm's own word about that lattice."""

    admin: Admin
    namespace: str
    lattice: str
    nats: NatsServer
    client: Any

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, admin: Admin, server: NatsServer, *, lattice: str = "") -> AsyncIterator[Site]:
        """In a fresh namespace, which is deleted at the end with all that is in it."""
        token = secrets.token_hex(3)
        namespace, lattice = f"apps-{token}", lattice or f"lattice-{token}"
        client = await nats.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        await admin.create_namespace(namespace)
        try:
            await admin.create(host_config(namespace, lattice, server.url))
            yield cls(admin, namespace, lattice, server, client)
            await admin.delete_all(APP, namespace)
            await eventually(lambda: _gone(admin, namespace), message="the applications are gone")
        finally:
            await client.close()
            await admin.delete("v1/Namespace", namespace)

    @contextlib.asynccontextmanager
    async def host(self) -> AsyncIterator[LatticeHost]:
        # Not a real host's 30 s: what wadm could not place when the host started it tries again at a heartbeat.
        async with LatticeHost.running(self.nats.url, SharedLattice(self.lattice), heartbeat=3.0) as running:
            commands = f"wasmbus.ctl.v1.{self.lattice}.component.scale.{running.id}"
            await self.client.subscribe(commands, cb=FormerVersions(running, self.client).on_scale)
            yield running

    async def wadm(self, operation: str, body: Any = None, lattice: str = "") -> dict[str, Any]:
        payload = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if operation == "put" else None
        subject = f"wadm.api.{lattice or self.lattice}.model.{operation}"
        answer = await self.client.request(subject, payload, timeout=20, headers=headers)
        return json.loads(answer.data)

    async def versions(self, name: str = "hello") -> dict[str, bool]:
        answer = await self.wadm(f"versions.{name}")
        assert answer["result"] in ("success", "notfound"), f"wadm did not list versions: {answer}"
        return {entry["version"]: entry["deployed"] for entry in answer.get("versions") or ()}

    async def wash_put(self, name: str = "hello", version: str = "w1", **properties: Any) -> None:
        """What `wash app put` does."""
        manifest = application("", name, {"version": version}, **properties)
        del manifest["metadata"]["namespace"]
        answer = await self.wadm("put", manifest)
        assert answer["result"] in ("created", "newversion"), answer

    async def create(self, name: str = "hello", annotations: dict[str, str] | None = None, **properties: Any) -> None:
        await self.admin.create(application(self.namespace, name, annotations, **properties))

    async def change(self, image: str, name: str = "hello") -> None:
        await self.patch({"spec": {"components": components(image)}}, name)

    async def annotate(self, name: str = "hello", **annotations: str | None) -> None:
        await self.patch({"metadata": {"annotations": annotations}}, name)

    async def patch(self, patch: dict[str, Any], name: str = "hello") -> None:
        await self.admin.patch(APP, name, self.namespace, patch)

    async def get(self, name: str = "hello") -> dict[str, Any]:
        return await self.admin.get(APP, name, self.namespace)

    async def reaches(self, predicate: Callable[[dict[str, Any]], object], name: str = "hello", **options: Any) -> dict:
        found = await self.admin.wait_for(
            APP, name, self.namespace, lambda obj: obj is not None and predicate(obj), **options
        )
        assert found is not None
        return found

    async def phase(self, phase: str, name: str = "hello", reason: str = "", **options: Any) -> dict[str, Any]:
        """The application as soon as its status, seen for this generation, has that phase (and Ready that reason).

        Of a lattice that is new to it wadm sometimes takes no notice for half a minute. What wadm waits for (its
        workers' next message, an event that it expects) it gives up after 30 to 35 s, and a new version of what runs
        takes five such steps.
        """

        def there(obj: dict[str, Any]) -> bool:
            status = obj["status"]
            current = status["observedGeneration"] == obj["metadata"]["generation"]
            return current and status.get("phase") == phase and reason in ("", why(obj))

        return await self.reaches(there, name, message=f"phase {phase} {reason}", **{"timeout": 240, **options})

    async def deployed(self, name: str = "hello") -> dict[str, Any]:
        """The application as soon as wadm has a version of this generation deployed, and it is known."""

        def there(obj: dict[str, Any]) -> bool:
            status = obj["status"]
            current = status["observedGeneration"] == obj["metadata"]["generation"]
            return current and "deployedVersion" in status and why(obj) in ("Deploying", "Waiting", "Deployed")

        return await self.reaches(there, name, message="a deployed version")

    async def gone(self, name: str = "hello", **options: Any) -> None:
        await self.admin.wait_for(APP, name, self.namespace, lambda obj: obj is None, **options)

    async def events(self, name: str = "hello") -> dict[str, str]:
        """Note by reason."""
        events = await self.admin.list(EVENT, self.namespace)
        return {event["reason"]: event["note"] for event in events if event["regarding"]["name"] == name}

    async def has_event(self, reason: str) -> bool:
        return reason in await self.events()


def why(obj: dict[str, Any]) -> str:
    """The reason of the condition Ready."""
    conditions = obj["status"].get("conditions") or []
    return next((entry["reason"] for entry in conditions if entry["type"] == "Ready"), "")


def conditions(obj: dict[str, Any]) -> dict[str, str]:
    """Status by type."""
    return {entry["type"]: entry["status"] for entry in obj["status"]["conditions"]}


async def _gone(admin: Admin, namespace: str) -> bool:
    return not await admin.list(APP, namespace)
