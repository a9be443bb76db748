"""Reads from wadm what is deployed of an application, and what its manifest refers to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wasmcloud_operator.expose.plan import Record
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.content import owner_of
from wasmcloud_operator.lattice.errors import InvalidName, LatticeError, WadmNotFound
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.manifest.http_endpoints import (
    Externals,
    exposure,
    external_configs,
    shared_applications,
)
from wasmcloud_operator.manifest.walking import Object


@dataclass(frozen=True, slots=True)
class ManifestReader:
    """Reads deployed manifests. Owners of this cluster are known by `cluster_id`, or by their uid if that changed."""

    cluster_id: str
    applications: Informer[CustomResource] | None = None

    async def read(self, lattice: Lattice, application: str) -> Record | None:
        """What wadm has deployed now; None when nothing is. Raises the errors of `WadmReader`."""
        version, manifest = await self._deployed(lattice, application)
        return None if manifest is None else await self.record(lattice, application, version, manifest)

    async def record(self, lattice: Lattice, application: str, version: str, manifest: Object) -> Record:
        """The record of a manifest, with what it refers to. Raises the errors of `WadmReader`."""
        shared = shared_applications(manifest) - {application}
        manifests = {name: (await self._deployed(lattice, name))[1] for name in sorted(shared)}
        configs = external_configs(manifest, manifests)
        externals = Externals(await self._configs(lattice, configs), manifests)
        annotations = _annotations(manifest)
        found = exposure(manifest, externals)
        return Record(
            application=application,
            version=version,
            exposure=found,
            owner=self._owner(manifest),
            annotations=annotations,
            configs=configs,
            shared=shared,
        )

    async def _deployed(self, lattice: Lattice, application: str) -> tuple[str, dict[str, Any] | None]:
        """The version that is deployed, and its manifest; None when none is."""
        try:
            versions = await lattice.wadm.versions(application)
            version = next((each.version for each in versions if each.deployed), None)
            return ("", None) if version is None else (version, await lattice.wadm.get(application, version))
        except (WadmNotFound, InvalidName):
            return "", None

    async def _configs(self, lattice: Lattice, wanted: Iterable[str]) -> dict[str, Mapping[str, str] | None]:
        """The configurations by name; one that cannot be read is left out."""
        found: dict[str, Mapping[str, str] | None] = {}
        for name in sorted(wanted):
            try:
                found[name] = await lattice.control.config(name)
            except InvalidName:
                found[name] = None
            except LatticeError:
                continue
        return found

    def _owner(self, manifest: Object) -> Key | None:
        owner = owner_of(manifest)
        if owner is None or not owner.namespace or not owner.name:
            return None
        key = Key(owner.namespace, owner.name)
        item = self.applications.store.get(key) if self.applications is not None else None
        ours = item is not None and replace(owner, cluster=self.cluster_id, uid=item.metadata.uid).is_same(owner)
        return key if ours or owner.cluster == self.cluster_id else None


def version_of(manifest: Object) -> str:
    """The version that a stored manifest names; "" when it names none."""
    return _annotations(manifest).get("version", "")


def _annotations(manifest: Object) -> dict[str, str]:
    metadata = manifest.get("metadata")
    entries = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(entries, Mapping):
        return {}
    return {key: value for key, value in entries.items() if isinstance(value, str)}
