"""Events about what a lattice has without an Application: on a host config, since nothing nearer is there."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.kinds import HOST_CONFIG
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Forbidden
from wasmcloud_operator.kube.events import EventRecorder, EventType
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import EVENT
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.pools import Pools


@dataclass(frozen=True, slots=True)
class LatticeEvents:
    """Records them."""

    configs: Informer[CustomResource]
    pools: Pools
    client: Reader
    recorder: EventRecorder

    def event(self, lattice: Lattice, owner: Owner, type_: EventType, reason: Reason, note: str) -> None:
        """Record an Event on a host config of the lattice, in the former owner's namespace if there is one."""
        config = self._config(lattice, owner)
        if config is not None:
            self.recorder.event(HOST_CONFIG, config.metadata, type_, reason, note, action="List")

    async def stands(self, lattice: Lattice, owner: Owner, reason: Reason, note: str) -> bool:
        """Whether the cluster has that Event: an earlier life recorded it, which no other memory outlives.

        False where Events may not be read. Raises the errors of `kube.errors`.
        """
        config = self._config(lattice, owner)
        if config is None:
            return False
        query = [("fieldSelector", f"regarding.uid={config.metadata.uid},reason={reason}"), ("limit", "500")]
        try:
            page = await self.client.list_page(EVENT, UNSTRUCTURED, namespace=config.metadata.namespace, query=query)
        except Forbidden:
            return False
        return any(found.body.get("note") == note for found in page.items)

    def _config(self, lattice: Lattice, owner: Owner) -> CustomResource | None:
        """The same one in every life."""
        keys = sorted(
            (pool.key for pool in self.pools.of(lattice)), key=lambda key: (key.namespace != owner.namespace, key)
        )
        return next(filter(None, map(self.configs.store.get, keys)), None)
