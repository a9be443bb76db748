"""Reads what host configs refer to: Secrets and ConfigMaps by name, live, and only when they have changed."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import ChecksumKey, has_secret_content, references
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.reference_checks import Contents, ExaminedReferences, ReferencedData, examine
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.gather_first_error import gather_first_error
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Metadata, Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, SECRET, Key
from wasmcloud_operator_types import WasmCloudHostConfigSpec

# An object's uid and resourceVersion; None for one that does not exist.
_Version = tuple[str, str] | None
_Versions = tuple[tuple[str, str, _Version], ...]


@dataclass(slots=True)
class ReferenceReader:
    """Reads and judges a config's references; remembers findings, never values, by the objects' versions."""

    client: Reader
    secrets: Informer[Metadata]
    config_maps: Informer[Metadata]
    platform: Platform
    _found: dict[Key, tuple[WasmCloudHostConfigSpec, _Versions, ExaminedReferences]] = field(default_factory=dict)

    async def read(self, key: Key, spec: WasmCloudHostConfigSpec) -> ExaminedReferences:
        """What the references hold; without the values when nothing had to be read.

        Raises the errors of `kube.errors`.
        """
        held = self._found.get(key)
        if held is not None and held[0] == spec and held[1] == self._known_versions(key.namespace, held[1]):
            return held[2]
        examined, versions = await _read(self.client, key, spec, self.platform)
        self._found[key] = (spec, versions, replace(examined, values=None))
        return examined

    async def read_values(self, key: Key, spec: WasmCloudHostConfigSpec) -> ExaminedReferences:
        """The same, read live in any case, with the values."""
        return await read_references(self.client, key, spec, self.platform)

    def forget(self, key: Key) -> None:
        """The config is gone."""
        self._found.pop(key, None)

    def _known_versions(self, namespace: str, asked: _Versions) -> _Versions | None:
        """The versions of the same objects by the metadata watches; None while these do not follow the namespace."""
        if not all(self._watch(kind).synced_in(namespace) for kind in {kind for kind, _, _ in asked}):
            return None
        return tuple((kind, name, self._known_version(kind, Key(namespace, name))) for kind, name, _ in asked)

    def _known_version(self, kind: str, key: Key) -> _Version:
        held = self._watch(kind).store.get(key)
        return (held.metadata.uid, held.metadata.resource_version) if held is not None else None

    def _watch(self, kind: str) -> Informer[Metadata]:
        return self.secrets if kind == SECRET.kind else self.config_maps


async def read_references(
    client: Reader, key: Key, spec: WasmCloudHostConfigSpec, platform: Platform
) -> ExaminedReferences:
    """What the references of the config of that key hold now. Raises the errors of `kube.errors`."""
    return (await _read(client, key, spec, platform))[0]


async def _read(
    client: Reader, key: Key, spec: WasmCloudHostConfigSpec, platform: Platform
) -> tuple[ExaminedReferences, _Versions]:
    asked = [(SECRET, name) for name in sorted(_secret_names(key.name, spec))]
    asked += [(CONFIG_MAP, name) for name in sorted(references(spec).config_maps)]
    items = await gather_first_error(client.find(resource, Key(key.namespace, name)) for resource, name in asked)
    found = list(zip(asked, items, strict=True))
    contents = Contents(
        {name: _decoded(item) for (resource, name), item in found if resource is SECRET},
        {name: _decoded(item) for (resource, name), item in found if resource is CONFIG_MAP},
    )
    versions = tuple((resource.kind, name, _version(item)) for (resource, name), item in found)
    held = contents.secrets.get(naming.checksum_secret_name(key.name))
    text = held.data.get(naming.CHECKSUM_KEY, b"").decode("ascii", "replace") if held is not None else ""
    return examine(spec, contents, platform, ChecksumKey(text) if text else ChecksumKey.new()), versions


def _secret_names(config: str, spec: WasmCloudHostConfigSpec) -> set[str]:
    """The Secrets to read: those that the spec refers to, and the key of their digests."""
    return {*references(spec).secrets, *([naming.checksum_secret_name(config)] if has_secret_content(spec) else [])}


def _version(item: Unstructured | None) -> _Version:
    return (item.metadata.uid, item.metadata.resource_version) if item is not None else None


def _decoded(item: Unstructured | None) -> ReferencedData | None:
    if item is None:
        return None
    body = item.body
    if body.get("kind") == SECRET.kind:
        data = {name: base64.b64decode(value or "") for name, value in (body.get("data") or {}).items()}
        return ReferencedData(body.get("type", ""), data)
    data = {name: value.encode() for name, value in (body.get("data") or {}).items()}
    binary = {name: base64.b64decode(value) for name, value in (body.get("binaryData") or {}).items()}
    return ReferencedData("", data | binary)
