"""A wadm on a scripted NATS server, as far as the operator sees it.

`tests/integration/test_scripted_wadm.py` holds the same conversation with this and with a real wadm.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.lattice.testing.nats import ScriptedMessage, ScriptedNats, ScriptedSubscription
from wasmcloud_operator.lattice.testing.scripted_host import ScriptedHost


@dataclass(eq=False)
class ScriptedModel:
    """One application in wadm: its versions, oldest first, the deployed version, and what wadm's workers know."""

    name: str
    versions: list[tuple[str, JsonObject]] = field(default_factory=list)
    deployed: str = ""
    # What the scalers stand for; they follow `deployed` a moment later.
    scaled: JsonObject | None = None
    status: JsonObject = field(default_factory=lambda: {"status": {"type": "undeployed", "message": ""}, "scalers": []})

    def manifest(self, version: str) -> JsonObject | None:
        return next((manifest for at, manifest in self.versions if at == version), None)


@dataclass(eq=False)
class ScriptedWadm:
    """wadm on one NATS server, for every lattice there. `lag` returns the seconds until its workers follow a change."""

    server: ScriptedNats
    lag: Callable[[], float] = lambda: 0.2
    lattices: dict[str, dict[str, ScriptedModel]] = field(default_factory=dict)
    hosts: list[ScriptedHost] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The operations that it was asked for, as `deploy.shop`."""

    swallow: float = 0.0
    """How probable it is that an answer to a write gets lost."""

    random: random.Random = field(default_factory=random.Random)
    on_end: Callable[[str, ScriptedModel], None] = lambda *_: None
    """Called with the lattice and the application before one is undeployed or deleted."""

    _subscription: ScriptedSubscription | None = None
    _ulid: int = 0

    @property
    def up(self) -> bool:
        return self._subscription is not None

    def start(self) -> None:
        if self._subscription is None:
            self._subscription = self.server.subscribe("wadm.api.*.model.>", self._on_message)
            for lattice, models in self.lattices.items():
                for model in models.values():
                    self._later(lattice, model)

    def stop(self) -> None:
        if self._subscription is not None:
            self._subscription.end()
            self._subscription = None

    def wipe(self) -> None:
        """JetStream is gone, with everything in it; what runs goes on."""
        self.lattices.clear()

    def models(self, lattice: str) -> dict[str, ScriptedModel]:
        return self.lattices.setdefault(lattice, {})

    def host_changed(self, lattice: str) -> None:
        """A host came or went: wadm places what it runs anew, once it is there."""
        for model in self.models(lattice).values():
            self._later(lattice, model)

    async def _on_message(self, message: ScriptedMessage) -> None:
        _, _, lattice, _, operation, *rest = message.subject.split(".")
        await asyncio.sleep(0.002)
        if not self.up:
            return
        self.asked.append(".".join((operation, *rest)))
        handler = getattr(self, f"_{operation}")
        body = json.loads(message.data) if message.data else {}
        answer = handler(lattice, rest[0] if rest else "", body)
        writes = operation in ("put", "deploy", "undeploy", "del")
        if not (writes and self.random.random() < self.swallow):
            self.server.publish(message.reply, json.dumps(answer).encode())

    # --- the API ------------------------------------------------------------------------------------------------------

    def _put(self, lattice: str, _: str, manifest: JsonObject) -> JsonObject:
        name, annotations = manifest["metadata"]["name"], manifest["metadata"].setdefault("annotations", {})
        model = self.models(lattice).setdefault(name, ScriptedModel(name))
        if "version" not in annotations:
            self._ulid += 1
            annotations["version"] = f"01{self._ulid:024d}"
        version = annotations["version"]
        if model.manifest(version) is not None:
            return {"result": "error", "message": f"Manifest version {version} already exists"}
        model.versions.append((version, manifest))
        result = "created" if len(model.versions) == 1 else "newversion"
        about = {"name": name, "current_version": version, "total_versions": len(model.versions)}
        return {"result": result, "message": "", **about}

    def _get(self, lattice: str, name: str, body: JsonObject) -> JsonObject:
        if not name:
            return {"result": "success", "message": "", "models": list(self._summaries(lattice))}
        model = self.models(lattice).get(name)
        if model is None:
            return _not_found(name)
        version = body.get("version") or model.versions[-1][0]
        manifest = model.manifest(version)
        if manifest is None:
            return {"result": "notfound", "message": f"Model with the name {name} and version {version} not found"}
        return {"result": "success", "message": "", "manifest": manifest}

    def _versions(self, lattice: str, name: str, _: JsonObject) -> JsonObject:
        model = self.models(lattice).get(name)
        if model is None:
            return {**_not_found(name), "versions": []}
        found = [{"version": version, "deployed": version == model.deployed} for version, _ in model.versions]
        return {"result": "success", "message": "", "versions": found}

    def _deploy(self, lattice: str, name: str, body: JsonObject) -> JsonObject:
        model = self.models(lattice).get(name)
        if model is None:
            return _not_found(name)
        version = body.get("version") or model.versions[-1][0]
        version = model.versions[-1][0] if version == "latest" else version
        manifest = model.manifest(version)
        if manifest is None:
            return {"result": "error", "message": f"Model with the name {name} does not have a version '{version}'"}
        for other in self.models(lattice).values():
            if other is not model and other.deployed and (shared := _ids(other, other.deployed) & _ids(model, version)):
                refused = f"Component ID '{min(shared)}' already deployed in a different application '{other.name}'"
                return {"result": "error", "message": refused}
        model.deployed = version
        self._event(lattice, "manifest_published", manifest)
        self._later(lattice, model)
        return {"result": "acknowledged", "message": "", "name": name, "version": version}

    def _undeploy(self, lattice: str, name: str, _: JsonObject) -> JsonObject:
        model = self.models(lattice).get(name)
        if model is None:
            return _not_found(name)
        if model.deployed:
            self.on_end(lattice, model)
            model.deployed = ""
            self._event(lattice, "manifest_unpublished", {"name": name})
            self._later(lattice, model)
        return {"result": "acknowledged", "message": ""}

    def _del(self, lattice: str, name: str, body: JsonObject) -> JsonObject:
        model, version = self.models(lattice).get(name), body.get("version")
        if model is None or (version and model.manifest(version) is None):
            if not version:
                self._event(lattice, "manifest_unpublished", {"name": name})
            return {"result": "noop", "message": f"Model {name} does not exist", "undeploy": False}
        if version:
            model.versions = [(at, manifest) for at, manifest in model.versions if at != version]
        if not version and model.versions:
            self.on_end(lattice, model)
        undeploys = version in (None, model.deployed) or not model.versions
        if undeploys:
            model.deployed = ""
            self._event(lattice, "manifest_unpublished", {"name": name})
        if not version or not model.versions:
            del self.models(lattice)[name]
            self._later(lattice, ScriptedModel(name, scaled=model.scaled, status=model.status))
        elif undeploys:
            self._later(lattice, model)
        return {"result": "deleted", "message": "", "undeploy": undeploys}

    def _status(self, lattice: str, name: str, _: JsonObject) -> JsonObject:
        model = self.models(lattice).get(name)
        status = model.status if model is not None else ScriptedModel(name).status
        return {"result": "ok", "message": "", "status": {"version": "", "components": [], **status}}

    def _summaries(self, lattice: str) -> Iterator[JsonObject]:
        for name, model in self.models(lattice).items():
            shown = model.status["status"]
            waits = model.deployed and shown["type"] == "undeployed"
            yield {
                "name": name,
                "version": model.versions[-1][0],
                "deployed_version": model.deployed or None,
                "status": "waiting" if waits else shown["type"],
                "detailed_status": {
                    "status": {"type": "waiting" if waits else shown["type"], "message": shown["message"]},
                    "scalers": model.status["scalers"],
                },
            }

    # --- its workers --------------------------------------------------------------------------------------------------

    def _event(self, lattice: str, kind: str, data: JsonObject) -> None:
        event = {"type": f"com.wadm.{kind}", "source": "wadm", "data": data}
        self.server.publish(f"wadm.evt.{lattice}.{kind}", json.dumps(event).encode())

    def _later(self, lattice: str, model: ScriptedModel) -> None:
        asyncio.get_running_loop().call_later(self.lag(), self._work, lattice, model)

    def _work(self, lattice: str, model: ScriptedModel) -> None:
        """Bring hosts to what is deployed, and push the status if it is another one."""
        there = self.models(lattice).get(model.name)
        if not self.up or there not in (None, model):
            return
        manifest = model.manifest(model.deployed) if there is model and model.deployed else None
        hosts = sorted((host for host in self.hosts if host.lattice == lattice), key=lambda host: host.id)
        wanted = _providers(model.name, manifest) if manifest is not None else {}
        for host in hosts[1:]:
            self._run(model.name, host, {})
        if hosts:
            self._run(model.name, hosts[0], wanted)
        model.scaled = manifest
        status = _status_of(manifest, bool(hosts))
        if status != model.status:
            model.status = status
            self.server.publish(f"wadm.status.{lattice}.{model.name}", json.dumps(status).encode())

    def _run(self, name: str, host: ScriptedHost, wanted: dict[str, JsonObject]) -> None:
        running = {
            key: one for key, one in host.providers.items() if one["annotations"]["wasmcloud.dev/appspec"] == name
        }
        for key, about in running.items():
            if wanted.get(key) != about:
                host.end_provider(key)
        for key, about in wanted.items():
            if running.get(key) != about:
                host.run_provider(key, about)


def component_id(name: str, component: JsonObject) -> str:
    """Returns wadm's id of a component."""
    return str(component["properties"].get("id") or f"{name}-{component['name']}")


def _ids(model: ScriptedModel, version: str) -> set[str]:
    manifest = model.manifest(version) or {}
    return {component_id(model.name, one) for one in manifest.get("spec", {}).get("components", ())}


def _providers(name: str, manifest: JsonObject) -> dict[str, JsonObject]:
    annotations = {"wasmcloud.dev/appspec": name, "wasmcloud.dev/managed-by": "wadm"}
    return {
        component_id(name, one): {"image_ref": one["properties"]["image"], "annotations": annotations}
        for one in manifest["spec"]["components"]
        if one["type"] == "capability"
    }


def _status_of(manifest: JsonObject | None, hosts: bool) -> JsonObject:
    if manifest is None or not hosts:
        return {"status": {"type": "undeployed", "message": ""}, "scalers": []}
    name = manifest["metadata"]["name"]
    scalers = [
        {
            "id": f"{one['properties']['image']}-{component_id(name, one)}",
            "kind": "SpreadScaler",
            "name": component_id(name, one),
            "status": {"type": "deployed", "message": ""},
        }
        for one in manifest["spec"]["components"]
    ]
    return {"status": {"type": "deployed", "message": ""}, "scalers": scalers}


def _not_found(name: str) -> JsonObject:
    return {"result": "notfound", "message": f"Model with the name {name} not found"}
