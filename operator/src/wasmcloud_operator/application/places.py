"""Which lattice an Application uses, and the views of all lattices in use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from wasmcloud_operator.application.lattice_choice import Chosen, ConfiguredPool, NotChosen, choose
from wasmcloud_operator.application.view import View
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.shared.pools import Pools


@dataclass(slots=True)
class Places:
    """Finds the lattice of an Application, and holds it for as long as wadm has something of the Application.

    A lattice that is held outlives its host config: a namespace that goes takes its host config first, and what the
    Application left in wadm can be removed all the same.
    """

    pools: Pools
    configs: Informer[CustomResource]
    _views: dict[Lattice, View] = field(default_factory=dict)

    def choose(self, item: CustomResource) -> Chosen | NotChosen:
        """The lattice that the Application belongs in."""
        return choose(item.metadata.annotations, self._configured(item.metadata.namespace))

    def config(self, key: Key) -> CustomResource | None:
        """A host config."""
        return self.configs.store.get(key)

    def has_configs(self, namespace: str) -> bool:
        """Whether a namespace has host configs that stay."""
        return bool(self._configured(namespace))

    def view(self, lattice: Lattice) -> View:
        """What is known of a lattice's applications."""
        if lattice not in self._views:
            used = set(self.pools.lattices.all)
            for gone in [known for known in self._views if known not in used]:
                del self._views[gone]
        return self._views.setdefault(lattice, View())

    def hold(self, key: Key, lattice: Lattice) -> None:
        """Keep the lattice for the Application of that key, instead of another one."""
        if self.held(key) is not lattice:
            self.pools.lattices.keep(_holder(key), lattice)

    def release(self, key: Key) -> None:
        """Nothing of the Application of that key is in wadm any more."""
        for view in self._views.values():
            view.refused.discard(key)
        self.pools.lattices.release(_holder(key))

    def held(self, key: Key) -> Lattice | None:
        """The lattice that is held for the Application of that key."""
        return self.pools.lattices.held_by(_holder(key))

    def last(self, item: CustomResource) -> Lattice | None:
        """Where the Application was put: held, or by its status and a pool that still leads there."""
        held = self.held(item.metadata.key)
        if held is not None:
            return held
        status = item.status if isinstance(item.status, dict) else {}
        name = status.get("lattice")
        pools = self.pools.in_namespace(item.metadata.namespace)
        fitting = [pool for pool in pools if pool.lattice.name == name]
        same = [pool for pool in fitting if pool.key.name == status.get("hostConfig")]
        return next((pool.lattice for pool in (*same, *fitting)), None)

    def namespaces(self, lattice: Lattice) -> set[str]:
        """The namespaces whose Applications may be in a lattice."""
        return {pool.key.namespace for pool in self.pools.of(lattice)}

    def holders(self, lattice: Lattice) -> Iterable[Key]:
        """The Applications for which a lattice is held."""
        prefix = _holder(Key("", ""))
        for holder in self.pools.lattices.holders(lattice):
            if holder.startswith(prefix):
                namespace, _, name = holder.removeprefix(prefix).partition("/")
                yield Key(namespace, name)

    def _configured(self, namespace: str) -> list[ConfiguredPool]:
        found = []
        for config in self.configs.store:
            key = config.metadata.key
            if key.namespace == namespace and not config.metadata.deleting and isinstance(config.spec, dict):
                found.append(ConfiguredPool(key.name, str(config.spec.get("lattice", "")), self.pools.get(key)))
        return sorted(found, key=lambda config: config.name)


def _holder(key: Key) -> str:
    return f"{APPLICATION.kind} {key.namespace}/{key.name}" if key.name else f"{APPLICATION.kind} "
