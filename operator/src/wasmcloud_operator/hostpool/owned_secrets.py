"""The Secrets of a host pool's own: what its pods read that must be in no ConfigMap and no pod's spec."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import Facts, has_secret_content, registry_in_environment
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.hostpool.render_host import PASSWORD_KEY, USERNAME_KEY
from wasmcloud_operator.hostpool.render_leaf import CONF_KEY
from wasmcloud_operator.kube.apply import ONLY_IF_MISSING, ForeignObject
from wasmcloud_operator.kube.client import Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.difference import fingerprint, first_difference
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import SECRET, Key
from wasmcloud_operator_types import WasmCloudHostConfig

# Returns what the Secret holds, or None if that has changed since it was decided on.
Content = Callable[[], Awaitable[Mapping[str, str] | None]]


def needed_secrets(config: WasmCloudHostConfig, facts: Facts, secret_conf: str) -> list[str]:
    """The names of those that the pods need."""
    return [name for name, needed in _possible(config, facts, secret_conf).items() if needed]


def _possible(config: WasmCloudHostConfig, facts: Facts, secret_conf: str) -> dict[str, bool]:
    """Returns the names of all that a pool may have, and whether its pods need it.

    The one with the key comes first: digests made with a key that nobody keeps would be others after a restart.
    """
    return {
        naming.checksum_secret_name(config.metadata.name or ""): has_secret_content(config.spec),
        naming.registry_secret_name(config): registry_in_environment(config.spec, facts.registries),
        naming.conf_secret_name(config): bool(secret_conf),
    }


@dataclass(slots=True)
class OwnedSecrets:
    """Keeps those Secrets. Their values are in no cache, so a change by hand shows in the resourceVersion alone."""

    client: Writer
    secrets: Informer[Metadata]
    reader: ReferenceReader
    paced: PacedWrites
    # By config, by name: the resourceVersion and the digest of the Secret as it was found right.
    _checked: dict[Key, dict[str, tuple[str, str]]] = field(default_factory=dict)

    async def ensure(self, config: WasmCloudHostConfig, facts: Facts, secret_conf: str) -> None:
        """Bring the needed Secrets to their present content.

        They are: the key of the pods' checksums, the only registry's user and password, and nats.conf (`secret_conf`,
        empty if it is none). Raises ForeignObject or the errors of `kube.errors`.
        """

        async def registry() -> Mapping[str, str] | None:
            examined = await self.reader.read_values(Key(namespace, config.metadata.name or ""), config.spec)
            registries = examined.values.registries if examined.values is not None else {}
            if len(registries) != 1:
                return None
            [only] = registries.values()
            return {USERNAME_KEY: only.username, PASSWORD_KEY: only.password}

        async def conf() -> Mapping[str, str]:
            return {CONF_KEY: secret_conf}

        async def checksum_key() -> Mapping[str, str]:
            return {naming.CHECKSUM_KEY: facts.checksum_key.value}

        namespace = config.metadata.namespace or ""
        parts = (
            ("host", facts.checksum_key.digest({}), checksum_key),
            ("host", facts.registry_digest, registry),
            ("leaf", facts.checksum_key.digest({CONF_KEY: secret_conf.encode()}), conf),
        )
        for (name, needed), part in zip(_possible(config, facts, secret_conf).items(), parts, strict=True):
            if needed:
                await self._keep(config, name, *part)

    async def remove_unneeded(self, config: WasmCloudHostConfig, facts: Facts, secret_conf: str) -> None:
        """Have the others be gone; not before the workload does without them. Raises the errors of `kube.errors`."""
        for name, needed in _possible(config, facts, secret_conf).items():
            held = self.secrets.store.get(Key(config.metadata.namespace or "", name))
            if not needed and held is not None and _owned_by(held.metadata, config):
                await self.paced.delete(SECRET, self.secrets, held, lambda left: Metadata(left.metadata))

    def places(self, key: Key) -> list[WriteTarget]:
        """Returns the Secrets that are kept for the config of that key."""
        return [WriteTarget(SECRET, Key(key.namespace, name)) for name in self._checked.get(key, ())]

    def forget(self, key: Key) -> None:
        """The config is gone; the garbage collector takes the Secrets."""
        self._checked.pop(key, None)

    async def _keep(
        self, config: WasmCloudHostConfig, name: str, component: str, digest: str, content: Content
    ) -> None:
        """Have the Secret hold the content behind the digest."""
        key = Key(config.metadata.namespace or "", name)
        held = self.secrets.store.get(key)
        if held is not None and not _owned_by(held.metadata, config):
            raise ForeignObject(SECRET, key, "somebody else")
        checked = self._checked.setdefault(Key(key.namespace, config.metadata.name or ""), {})
        if held is not None and checked.get(name) == (held.metadata.resource_version, digest):
            return
        values = await content()
        if values is None:
            return  # the watch brings the config back
        item = await self._applied(key, _body(config, key, component, digest, values), config)
        if item is None:
            return  # it is too early after somebody else changed or deleted it
        self.secrets.offer(Metadata(item.metadata))
        checked[name] = (item.metadata.resource_version, digest)

    async def _applied(self, key: Key, body: JsonObject, config: WasmCloudHostConfig) -> Unstructured | None:
        place, wish = WriteTarget(SECRET, key), fingerprint({**body, "data": None})  # a digest of the values is in it
        live = await self.client.find(SECRET, key)
        if live is None:
            body["metadata"] |= ONLY_IF_MISSING
            return await self.paced.create(place, wish, partial(self.client.apply, SECRET, body, UNSTRUCTURED))
        if not _owned_by(live.metadata, config):
            raise ForeignObject(SECRET, key, "somebody else")
        where = first_difference(body, live.body)
        if where is None:
            self.paced.contests.at_peace(place)
            return live
        body["metadata"]["uid"] = live.metadata.uid
        send = partial(self.client.apply, SECRET, body, UNSTRUCTURED)
        return await self.paced.write(place, live.metadata, wish, where, send)


def _owned_by(metadata: ObjectMeta, config: WasmCloudHostConfig) -> bool:
    return naming.is_owned(config.metadata.name or "", config.metadata.uid or "", metadata)


def _body(config: WasmCloudHostConfig, key: Key, component: str, digest: str, values: Mapping[str, str]) -> JsonObject:
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": naming.child_labels(config, component),
            "annotations": {naming.DIGEST: digest},
            "ownerReferences": [naming.owner_reference(config)],
        },
        "type": "Opaque",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()},
    }
