"""The plain model: from what users want now to what wadm must run and Kubernetes must expose. It knows no history.

Where the order of events decides (a name or a lattice that several want), it only says what may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.world import LATTICES, World
from wasmcloud_operator.application.naming import DELETION_POLICY, LATTICE, ORPHAN, UNDEPLOY
from wasmcloud_operator.expose.naming import APPLICATION as APPLICATION_OF
from wasmcloud_operator.expose.naming import APPLICATION_NAMESPACE, SERVES_PREFIX, SERVICE
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.kube.resources import SERVICE as SERVICES
from wasmcloud_operator.lattice.content import OWNER_UID
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.testing import ScriptedModel

Json = dict[str, Any]


@dataclass(frozen=True, order=True)
class Place:
    """A lattice of a NATS system."""

    system: str
    lattice: str


def faults(world: World) -> Iterator[str]:
    """Everything that is not as it must be, now that all is quiet."""
    model = Expected(world)
    yield from model.runs()
    yield from model.leftovers()
    yield from model.services()
    yield from model.endpoints()


def offers_http(spec: Json) -> bool:
    """Whether a component of the spec is an HTTP server."""
    return any(one["type"] == "capability" for one in spec["components"])


def wants_service(item: Json | None) -> bool:
    """Whether an Application asks for a Service."""
    if item is None or item["metadata"].get("deletionTimestamp"):
        return False
    return annotations(item).get(SERVICE) != "false" and offers_http(item["spec"])


def annotations(item: Json) -> dict[str, str]:
    """The annotations of an object."""
    found: dict[str, str] = item["metadata"].get("annotations") or {}
    return found


def port_of(spec: Json) -> int:
    """The port on which the HTTP server of a spec listens."""
    server = next(one for one in spec["components"] if one["type"] == "capability")
    (config,) = server["traits"][0]["properties"]["source"]["config"]
    return int(config["properties"]["address"].rpartition(":")[2])


class Expected:
    """What is wanted, by the objects as they are now."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pools = {
            key: body
            for key, body in world.cluster.all(HOST_CONFIG).items()
            if not body["metadata"].get("deletionTimestamp")
        }
        self.applications = world.cluster.all(APPLICATION)
        self.by_uid = {body["metadata"]["uid"]: body for body in self.applications.values()}

    def place_of(self, pool: Json) -> Place:
        address = pool["spec"]["natsAddress"].partition(",")[0]
        return Place(self.world.network.servers[address].name, pool["spec"]["lattice"])

    def places(self, item: Json) -> set[Place]:
        """Where an Application may be: one place, or several where only history decides."""
        wanted, namespace = annotations(item).get(LATTICE), item["metadata"]["namespace"]
        there = {self.place_of(pool) for key, pool in self.pools.items() if key.namespace == namespace}
        return {place for place in there if wanted in (None, place.lattice)}

    def models(self) -> Iterator[tuple[Place, ScriptedModel]]:
        for system, wadm in self.world.wadms.items():
            for lattice, models in wadm.lattices.items():
                for model in models.values():
                    yield Place(system, lattice), model

    def model(self, place: Place, name: str) -> ScriptedModel | None:
        return self.world.wadms[place.system].models(place.lattice).get(name)

    def owner(self, model: ScriptedModel) -> str:
        """The uid of whoever put what is deployed, or stored last."""
        manifest = model.manifest(model.deployed) or model.versions[-1][1]
        uid: str = manifest["metadata"].get("annotations", {}).get(OWNER_UID, "")
        return uid

    # --- wadm ---------------------------------------------------------------------------------------------------------

    def runs(self) -> Iterator[str]:
        """Every Application with one place runs there, and with the content that it has now."""
        claims: dict[tuple[Place, str], list[Json]] = {}
        open_names: set[tuple[Place, str]] = set()
        for key, item in self.applications.items():
            if item["metadata"].get("deletionTimestamp"):
                continue
            places = self.places(item)
            for place in places:
                claims.setdefault((place, key.name), []).append(item)
                if len(places) > 1:
                    open_names.add((place, key.name))
        for (place, name), items in sorted(claims.items(), key=lambda claim: claim[0]):
            if (place, name) not in open_names:
                yield from self._runs_there(place, name, items)

    def _runs_there(self, place: Place, name: str, items: list[Json]) -> Iterator[str]:
        model = self.model(place, name)
        if model is None:
            yield f"{name} is not in {place}"
            return
        uid = self.owner(model)
        winner = next((item for item in items if item["metadata"]["uid"] == uid), None)
        if winner is None and uid not in self.by_uid:
            # Whoever came first inherits it; the same content is not put again, so wadm names the former owner still.
            winner = next((item for item in items if _reason(item) != "Conflict"), None)
        if winner is None and (self._stays(uid) or self._excused(place, uid)):
            yield from self._lost(self.by_uid.get(uid), items)
            return
        if winner is None:
            yield f"{name} in {place} belongs to {uid or 'nobody'}, not to one of {[_key(item) for item in items]}"
            return
        undeployed = annotations(winner).get(UNDEPLOY) == "true"
        # What is not deployed needs not be the newest: a content that was there before is not stored twice.
        stored = [manifest["spec"] for version, manifest in model.versions if model.deployed in ("", version)]
        if bool(model.deployed) is undeployed:
            yield f"{name} in {place} is {model.deployed or 'not deployed'}, wanted: {not undeployed}"
        if winner["spec"] not in stored:
            yield f"{name} in {place} has {stored}, wanted: {winner['spec']}"
        has_hosts = any(host.lattice == place.lattice for host in self.world.wadms[place.system].hosts)
        phase = "Undeployed" if undeployed else "Deployed" if has_hosts else "Reconciling"
        if _phase(winner) != phase or not _observed(winner):
            yield f"Application {_key(winner)} is {_phase(winner)} ({_message(winner)}), wanted: {phase}"
        yield from self._lost(winner, items)

    def _stays(self, uid: str) -> bool:
        """Whether it is an Application without any lattice now: what it has in wadm runs on."""
        return uid in self.by_uid and not self.places(self.by_uid[uid])

    def _lost(self, winner: Json | None, items: list[Json]) -> Iterator[str]:
        for item in items:
            if item is not winner and (_phase(item), _reason(item)) != ("Failed", "Conflict"):
                yield f"Application {_key(item)} is {_phase(item)} ({_message(item)}), wanted: Conflict"

    def leftovers(self) -> Iterator[str]:
        """wadm has nothing of Applications that are gone, or elsewhere."""
        for place, model in self.models():
            uid = self.owner(model)
            item = self.by_uid.get(uid)
            if uid and place not in (self.places(item) if item is not None else ()) and not self._excused(place, uid):
                yield f"{model.name} is left in {place}, of {_key(item) if item is not None else uid}"
        for key, item in self.applications.items():
            if item["metadata"].get("deletionTimestamp") and not self._unreachable(item):
                yield f"Application {key} is still there ({_message(item)})"

    def _excused(self, place: Place, uid: str) -> bool:
        item = self.by_uid.get(uid)
        if item is None:
            return uid in self.world.left
        if annotations(item).get(DELETION_POLICY) == ORPHAN or uid in self.world.left or self._stays(uid):
            return True
        if item["metadata"].get("deletionTimestamp"):
            return self._unreachable(item)
        there = item["status"].get("leaving") or ()
        if _phase(item) == "Failed" and any(one["lattice"] == place.lattice for one in there):
            return True  # what runs stays until the next lattice takes it
        return any(one["lattice"] == place.lattice and not self._is_reached(item, one["latticeId"]) for one in there)

    def _is_reached(self, item: Json, lattice_id: str) -> bool:
        """Whether a pool of the Application's namespace has an address by which the lattice of that id was reached."""
        pools = [body["spec"] for key, body in self.pools.items() if key.namespace == _key(item).namespace]
        routes = [
            LatticeRoute(ConnectionSpec((spec["natsAddress"],)), lattice) for spec in pools for lattice in LATTICES
        ]
        return any(lattice_id in route.ids for route in routes)

    def _unreachable(self, item: Json) -> bool:
        return "no host config leads to" in _message(item)

    # --- Services -----------------------------------------------------------------------------------------------------

    def services(self) -> Iterator[str]:
        """There is a Service wherever an Application with HTTP runs and hosts of its lattice are, and no other one."""
        wanted: dict[Key, list[tuple[Place, ScriptedModel, Json]]] = {}
        for place, model in self.models():
            item, manifest = self.by_uid.get(self.owner(model)), model.manifest(model.deployed)
            if manifest is None or not offers_http(manifest["spec"]) or not wants_service(item):
                continue
            for key, pool in self.pools.items():
                if item is not None and self.place_of(pool) == place:
                    wanted.setdefault(Key(key.namespace, model.name), []).append((place, model, item))
        for key, found in wanted.items():
            there = {place: (model, item) for place, model, item in found}
            place, (model, item) = next(iter(there.items()))
            service = self.world.cluster.get(SERVICES, key)
            if service is None:
                yield f"no Service {key} of {_key(item)} in {place}"
            elif len(there) == 1 and not self._is_anothers(service, item):
                ports = [port["port"] for port in service["spec"]["ports"]]
                spec = (model.manifest(model.deployed) or {})["spec"]
                if offers_http(spec) and ports != [port_of(spec)]:
                    yield f"Service {key} has ports {ports}, wanted: {port_of(spec)}"
        for key, service in self.world.cluster.all(SERVICES).items():
            if not _is_http(service) or key in wanted:
                continue
            home = annotations(service).get(APPLICATION_NAMESPACE, key.namespace)
            item = self.applications.get(Key(home, annotations(service)[APPLICATION_OF]))
            if not wants_service(item) and not self._is_orphans(key) and not self._runs_with_http(key):
                yield f"Service {key} leads to nothing that is wanted"

    def _is_anothers(self, service: Json, item: Json) -> bool:
        """Whether another Application of that name wants the Service, which is its address."""
        home = annotations(service).get(APPLICATION_NAMESPACE, "")
        other = self.applications.get(Key(home, annotations(service)[APPLICATION_OF]))
        return other is not item and wants_service(other)

    def _runs_with_http(self, key: Key) -> bool:
        """Whether what runs offers HTTP, though the Application does no more and has no lattice to run that in."""
        found = (model for _, model in self.models() if model.name == key.name and model.deployed)
        return any(offers_http((model.manifest(model.deployed) or {})["spec"]) for model in found)

    def _is_orphans(self, key: Key) -> bool:
        return any(model.name == key.name and self.owner(model) in self.world.left for _, model in self.models())

    def endpoints(self) -> Iterator[str]:
        """A pod has the label of a Service exactly if its host runs the HTTP server that the Service leads to."""
        services = {key: body for key, body in self.world.cluster.all(SERVICES).items() if _is_http(body)}
        for key, pod in self.world.cluster.all(POD).items():
            host = self.world.hosts[pod["metadata"]["uid"]]
            running = {about["annotations"]["wasmcloud.dev/appspec"] for about in host.providers.values()}
            labels = [label for label in pod["metadata"]["labels"] if label.startswith(SERVES_PREFIX)]
            served = [services.get(Key(key.namespace, label.removeprefix(SERVES_PREFIX))) for label in labels]
            labelled = {annotations(service)[APPLICATION_OF] for service in served if service is not None}
            if None in served:
                yield f"pod {key} has labels {labels}, and not each is of a Service"
            for name in labelled - running:
                yield f"pod {key} has the label of {name}, which its host does not run"
            place = Place(host.server.name, host.lattice)
            for name in running - labelled:
                model = self.model(place, name)
                item = self.by_uid.get(self.owner(model)) if model is not None else None
                if Key(key.namespace, name) in services and wants_service(item) and self._leads_here(key, name, place):
                    yield f"pod {key} lacks the label of {name}, which its host runs"

    def _leads_here(self, pod: Key, name: str, place: Place) -> bool:
        """Whether no other lattice of the namespace has an application of that name."""
        here = {self.place_of(pool) for key, pool in self.pools.items() if key.namespace == pod.namespace}
        return not any(at in here and at != place and model.name == name for at, model in self.models())


def _is_http(service: Json) -> bool:
    labels: dict[str, str] = service["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/component") == "http"


def _key(item: Json) -> Key:
    return Key(item["metadata"]["namespace"], item["metadata"]["name"])


def _phase(item: Json) -> str:
    return str((item.get("status") or {}).get("phase"))


def _message(item: Json) -> str:
    return str((item.get("status") or {}).get("message"))


def _observed(item: Json) -> bool:
    return bool((item.get("status") or {}).get("observedGeneration") == item["metadata"]["generation"])


def _reason(item: Json) -> str:
    entries = (item.get("status") or {}).get("conditions") or ()
    return next((str(entry["reason"]) for entry in entries if entry["type"] == "Ready"), "")
