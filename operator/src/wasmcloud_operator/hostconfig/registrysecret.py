"""The owned Secret through which a host gets the password of its one registry."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, field

from wasmcloud_operator.hostconfig import names
from wasmcloud_operator.hostconfig.facts import Facts
from wasmcloud_operator.hostconfig.hostcontainer import PASSWORD_KEY, USERNAME_KEY
from wasmcloud_operator.hostconfig.reading import ReferenceReader
from wasmcloud_operator.hostconfig.registry import RegistryCredentials
from wasmcloud_operator.kube.apply import ForeignObject
from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.difference import difference
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import SECRET, Key
from wasmcloud_operator.kube.wire import UNSTRUCTURED
from wasmcloud_operator_types import WasmCloudHostConfig

_DIGEST = "k8s.wasmcloud.dev/registry-digest"


@dataclass(slots=True)
class RegistrySecrets:
    """Keeps those Secrets. Their values are in no cache, so a change by hand is told by the resourceVersion alone."""

    client: Client
    secrets: Informer[Metadata]
    reader: ReferenceReader
    _checked: dict[Key, tuple[str, str]] = field(default_factory=dict)

    async def ensure(self, config: WasmCloudHostConfig, facts: Facts) -> None:
        """Have the Secret hold what the registry credentials say now, or be gone if none is needed."""
        key = Key(config.metadata.namespace or "", names.registry_secret_name(config))
        held = self.secrets.store.get(key)
        if len(facts.registries) != 1:
            if held is not None and _owned_by(held.metadata, config):
                await self._delete(held)
            return
        if held is not None and not _owned_by(held.metadata, config):
            raise ForeignObject(SECRET, key, "somebody else")
        state = (held.metadata.resource_version, facts.registry_digest) if held is not None else None
        if state is not None and self._checked.get(key) == state:
            return
        examined = await self.reader.read_values(key, config.spec)
        registries = examined.values.registries if examined.values is not None else ()
        if len(registries) != 1:
            return  # changed since; the watch brings the config back
        item = await self._applied(key, _body(config, registries[0], facts), config)
        self.secrets.offer(Metadata(item.metadata))
        self._checked[key] = (item.metadata.resource_version, facts.registry_digest)

    async def _applied(self, key: Key, body: JsonObject, config: WasmCloudHostConfig) -> Unstructured:
        try:
            live = await self.client.get(SECRET, key)
        except NotFound:
            return await self.client.apply(SECRET, body, UNSTRUCTURED)
        if not _owned_by(live.metadata, config):
            raise ForeignObject(SECRET, key, "somebody else")
        if difference(body, live.body) is None:
            return live
        body["metadata"]["uid"] = live.metadata.uid
        return await self.client.apply(SECRET, body, UNSTRUCTURED)

    async def _delete(self, held: Metadata) -> None:
        with contextlib.suppress(NotFound):
            await self.client.delete(SECRET, held.metadata.key, uid=held.metadata.uid)
        self._checked.pop(held.metadata.key, None)
        self.secrets.forget(held)


def _owned_by(metadata: ObjectMeta, config: WasmCloudHostConfig) -> bool:
    return any(owner.uid == config.metadata.uid for owner in metadata.owner_references)


def _body(config: WasmCloudHostConfig, credentials: RegistryCredentials, facts: Facts) -> JsonObject:
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": names.registry_secret_name(config),
            "namespace": config.metadata.namespace,
            "labels": names.child_labels(config, "host"),
            "annotations": {_DIGEST: facts.registry_digest},
            "ownerReferences": [names.owner_reference(config)],
        },
        "type": "Opaque",
        "data": {
            USERNAME_KEY: base64.b64encode(credentials.username.encode()).decode(),
            PASSWORD_KEY: base64.b64encode(credentials.password.encode()).decode(),
        },
    }
