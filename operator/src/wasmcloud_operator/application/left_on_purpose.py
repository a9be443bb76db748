"""Which Applications were left in wadm on purpose: what they were is never removed there, whoever leads later.

A ConfigMap in the operator's namespace has their uids. wadm could not bear the mark: most of all an Application is left
there when wadm does not answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wasmcloud_operator.kube.client import MERGE_PATCH, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key

NAME = "wasmcloud-operator-left-in-wadm"


@dataclass(frozen=True, slots=True)
class LeftOnPurpose:
    """The ConfigMap. Methods raise the errors of `kube.errors`."""

    client: Writer
    namespace: str

    async def add(self, item: CustomResource) -> None:
        """Note an Application. Before its finalizer goes: nothing knows of it afterwards."""
        data = {item.metadata.uid: str(item.metadata.key)}
        try:
            await self.client.patch(CONFIG_MAP, self._key, {"data": data}, MERGE_PATCH, UNSTRUCTURED)
        except NotFound:
            head = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind}
            body = {**head, "metadata": {"name": NAME}, "data": data}
            await self.client.create(CONFIG_MAP, body, namespace=self.namespace)

    async def uids(self) -> Collection[str]:
        """The uids of those that were noted, read live."""
        try:
            return (await self.client.get(CONFIG_MAP, self._key)).body.get("data") or {}
        except NotFound:
            return ()

    @property
    def _key(self) -> Key:
        return Key(self.namespace, NAME)
