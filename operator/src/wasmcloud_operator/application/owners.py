"""The owner of an application in a lattice: a resource of this cluster, which may be gone, or of another cluster."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.content import Owner


@dataclass(frozen=True, slots=True)
class Owners:
    """The Applications of this cluster as owners in lattices."""

    cluster_id: str
    applications: Informer[CustomResource]

    def of(self, item: CustomResource) -> Owner:
        """The owner that an Application is."""
        return Owner(self.cluster_id, item.metadata.namespace, item.metadata.name, item.metadata.uid)

    def alive(self, owner: Owner) -> bool:
        """Whether an owner still exists, as far as this cluster knows."""
        if owner.cluster != self.cluster_id or not self.applications.synced_in(owner.namespace):
            return True
        item = self.applications.store.get(Key(owner.namespace, owner.name))
        return item is not None and owner.uid in ("", item.metadata.uid)
