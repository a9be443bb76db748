"""Events about what a lattice has without an Application: on a host config, since nothing nearer is there."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.lattice.lattices import Lattice
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.pools import Pools


@dataclass(frozen=True, slots=True)
class LatticeEvents:
    """Records them."""

    configs: Informer[CustomResource]
    pools: Pools
    recorder: EventRecorder

    def event(self, lattice: Lattice, owner: Owner, type_: EventType, reason: Reason, note: str) -> None:
        """Record an Event on a host config of the lattice, in the former owner's namespace if there is one."""
        keys = sorted((pool.key for pool in self.pools.of(lattice)), key=lambda key: key.namespace != owner.namespace)
        config = next(filter(None, map(self.configs.store.get, keys)), None)
        if config is not None:
            self.recorder.event(HOST_CONFIG, config.metadata, type_, reason, note, action="List")
