"""The lattice of an Application and the lattices that it is leaving, all kept reachable."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from wasmcloud_operator.application.lattice_choice import Chosen, ConfiguredPool, NotChosen, choose
from wasmcloud_operator.application.place import Place, departures, place
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.indexed import Grouped
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.context import NAMESPACE_INDEX
from wasmcloud_operator.shared.pools import Pools

_HOLDER = f"{APPLICATION.kind} "
_LEAVING = " leaving "


@dataclass(slots=True)
class LatticeSelector:
    """Finds the lattice of an Application, and holds it for as long as wadm has something of the Application.

    A lattice that is held outlives its host config: a namespace that goes takes its host config first, and what the
    Application left in wadm can be removed all the same.
    """

    pools: Pools
    configs: Informer[CustomResource]
    # Applications that wadm would not deploy as things were: any other's deploy or undeploy may change that.
    _refused: Grouped[Key, Lattice] = field(default_factory=Grouped)
    # As whom lattices are held for Applications that are leaving them.
    _departing: Grouped[str, Key] = field(default_factory=Grouped)

    def choose(self, item: CustomResource) -> Chosen | NotChosen:
        """The lattice that the Application belongs in."""
        configured = self._configured(item.metadata.namespace)
        known = {config.name for config in configured}
        unreadable = sorted(key.name for key in self._unreadable(item.metadata.namespace) if key.name not in known)
        if unreadable:  # or it would be moved to the lattice of another
            message = f"host config {', '.join(unreadable)} cannot be read: see the operator's log"
            return NotChosen(Reason.HOST_CONFIG_UNREADABLE, message, soon=True)
        return choose(item.metadata.annotations, configured, place(item))

    def config(self, key: Key) -> CustomResource | None:
        """A host config."""
        return self.configs.store.get(key)

    def has_configs(self, namespace: str, lattices: Collection[str] | None = None) -> bool:
        """Whether a namespace has host configs that stay; with `lattices`, such as may lead to one of these names."""
        fitting = (one for one in self._configured(namespace) if lattices is None or one.lattice in lattices)
        return any(fitting) or bool(self._unreadable(namespace))

    def hold(self, key: Key, lattice: Lattice) -> None:
        """Keep the lattice for the Application of that key, instead of another one."""
        if self.held(key) is not lattice:
            self.pools.lattices.keep(_holder(key), lattice)

    def held(self, key: Key) -> Lattice | None:
        """The lattice that is held for the Application of that key."""
        return self.pools.lattices.held_by(_holder(key))

    def release(self, key: Key) -> None:
        """Nothing of the Application of that key is in wadm any more."""
        self._refused.pop(key)
        for holder in (_holder(key), *self._departing.keys_of(key)):
            self.pools.lattices.release(holder)
            self._departing.pop(holder)

    def refuse(self, key: Key, lattice: Lattice) -> None:
        """wadm would not take the Application of that key."""
        self._refused.put(key, lattice)

    def accept(self, key: Key) -> None:
        """Nothing stands in its way any more."""
        self._refused.pop(key)

    def refused(self, lattice: Lattice) -> list[Key]:
        """The Applications that a lattice's wadm would not take."""
        return list(self._refused.keys_of(lattice))

    def last(self, item: CustomResource) -> Lattice | None:
        """Where the Application was put: held, or by its status and a pool that still leads there."""
        held = self.held(item.metadata.key)
        before = place(item)
        return held if held is not None or before is None else self._at(item.metadata.namespace, before)

    def leaving(self, item: CustomResource, chosen: Lattice | None) -> list[Place]:
        """The lattices that the Application has to be taken out of, as it is to be in `chosen`."""
        before, held = place(item), self.held(item.metadata.key)
        found = list(departures(item.status))
        if held is not None:
            found.append(Place(held.name, before.host_config if before else "", held.identity.id))
        # The next lattice is held before it is in the status: what was not written of a move must not be forgotten.
        if before is not None and (held is None or not before.is_in(held.identity)):
            found.append(before)
        return [one for one in dict.fromkeys(found) if chosen is None or not one.is_in(chosen.identity)]

    def departing(self, item: CustomResource, departure: Place) -> Lattice | None:
        """The lattice of a departure, held until it is done; None while no route leads there."""
        holder = _leaving(item, departure)
        kept, held = self.pools.lattices.held_by(holder), self.held(item.metadata.key)
        if kept is not None:
            return kept
        found = held if held is not None and departure.is_in(held.identity) else None
        found = found or self._at(item.metadata.namespace, departure)
        if found is not None:
            self.depart_from(item, departure, found)
            return found
        for pool in self.pools.in_namespace(item.metadata.namespace):
            route = replace(pool.route, name=departure.lattice)  # the config named another lattice of that NATS system
            if departure.is_in(route.identity):
                self._departing.put(holder, item.metadata.key)
                return self.pools.lattices.hold(holder, route)
        return None

    def depart_from(self, item: CustomResource, departure: Place, lattice: Lattice) -> None:
        """Hold a lattice as that of a departure."""
        holder = _leaving(item, departure)
        self._departing.put(holder, item.metadata.key)
        self.pools.lattices.keep(holder, lattice)

    def of_name(self, namespace: str, name: str) -> list[Lattice]:
        """The lattices of that name to which host configs of a namespace lead."""
        return list(
            dict.fromkeys(pool.lattice for pool in self.pools.in_namespace(namespace) if pool.route.name == name)
        )

    def out_of_sight(self, item: CustomResource, lattice: Lattice) -> Place | None:
        """The place of the Application that may be this lattice by another address or user: none is known, or that one
        was never up.

        None where the lattice is one of its places by its ids, and where it cannot be told which of several it is.
        """
        places = [*departures(item.status), *filter(None, (place(item),))]
        if any(one.is_in(lattice.identity) for one in places):
            return None

        def is_lost(one: Place) -> bool:
            known = self.departing(item, one)
            return known is None or not known.identified

        lost = [one for one in dict.fromkeys(places) if one.lattice == lattice.name and is_lost(one)]
        return lost[0] if len(lost) == 1 else None

    def departed(self, item: CustomResource, departure: Place) -> None:
        """Nothing of the Application is there any more, or it is left to itself."""
        holder = _leaving(item, departure)
        self._departing.pop(holder)
        self.pools.lattices.release(holder)

    def namespaces(self, lattice: Lattice) -> set[str]:
        """The namespaces whose Applications may be in a lattice."""
        return {pool.key.namespace for pool in self.pools.of(lattice)}

    def holders(self, lattice: Lattice) -> Iterable[Key]:
        """The Applications for which a lattice is held."""
        for holder in self.pools.lattices.holders(lattice):
            if holder.startswith(_HOLDER):
                namespace, _, name = holder.removeprefix(_HOLDER).partition(_LEAVING)[0].partition("/")
                yield Key(namespace, name)

    def _at(self, namespace: str, before: Place) -> Lattice | None:
        """The lattice of a place that a pool of the namespace still leads to."""
        lattices = (pool.lattice for pool in self.pools.in_namespace(namespace))
        return next((lattice for lattice in lattices if before.is_in(lattice.identity)), None)

    def _unreadable(self, namespace: str) -> list[Key]:
        return [key for key in self.configs.store.unreadable if key.namespace == namespace]

    def _configured(self, namespace: str) -> list[ConfiguredPool]:
        found = []
        for config in self.configs.store.by_index(NAMESPACE_INDEX, namespace):
            key = config.metadata.key
            if not config.metadata.deleting and isinstance(config.spec, dict):
                found.append(ConfiguredPool(key.name, str(config.spec.get("lattice", "")), self.pools.get(key)))
        return found


def _holder(key: Key) -> str:
    return f"{_HOLDER}{key.namespace}/{key.name}"


def _leaving(item: CustomResource, departure: Place) -> str:
    return f"{_holder(item.metadata.key)}{_LEAVING}{departure.lattice} {departure.id}"
