"""From an Application resource to the manifest that wadm gets, and what is read back from it.

All of it is pure: the same resource gives the same content, digest and version on every run and every replica.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wasmcloud_operator.kube.jsontypes import Json, JsonObject
from wasmcloud_operator.names import OWNER_CLUSTER, OWNER_NAME, OWNER_NAMESPACE

API_VERSION = "core.oam.dev/v1beta1"
KIND = "Application"
VERSION = "version"
DESCRIPTION = "description"
CONTENT_DIGEST = "k8s.wasmcloud.dev/content-digest"

_PASSED_DOMAIN = "wasmcloud.dev"
_OWN_DOMAIN = "k8s.wasmcloud.dev"
_SHORT_DIGEST = 12
"""Hexadecimal digits of a digest in a version: two contents of one application must never share one."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that an application in a lattice belongs to. Two clusters may share a lattice."""

    cluster: str
    """Identity of the Kubernetes cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} in cluster {self.cluster}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a user wants wadm to run: everything of the resource that reaches wadm, except the version."""

    name: str
    annotations: Mapping[str, str]
    """Annotations that pass, without ``version``."""

    labels: Mapping[str, str]
    spec: Mapping[str, object]
    declared_version: str | None
    """The user's ``version`` annotation."""

    digest: str
    """SHA-256 of the rest in hexadecimal digits."""

    @property
    def short_digest(self) -> str:
        """The part of the digest that goes into versions."""
        return self.digest[:_SHORT_DIGEST]


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """The version that a content has in wadm."""

    version: str
    stored: bool
    """Whether wadm has it already, so that it must not be put again."""

    renamed: bool
    """Whether the user's version was taken by another content, so that a version was made from it."""


def content_of(metadata: Mapping[str, object], spec: Mapping[str, object]) -> Content:
    """The content of an Application with this ``metadata`` and ``spec``, as the API server gives them.

    Raises KeyError for metadata without a name, which the API server never gives.
    """
    name = str(metadata["name"])
    annotations = passed_metadata(_strings(metadata.get("annotations")), also=(VERSION, DESCRIPTION))
    labels = passed_metadata(_strings(metadata.get("labels")))
    version = annotations.pop(VERSION, None)
    digest = _digest({"name": name, "annotations": annotations, "labels": labels, "spec": spec})
    return Content(name, annotations, labels, spec, version, digest)


def without_nulls(value: JsonObject) -> JsonObject:
    """The object without its fields that are null: the API server takes them for left out, wadm refuses some."""
    return {name: _without_nulls(field) for name, field in value.items() if field is not None}


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return without_nulls(value)
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def passed_metadata(entries: Mapping[str, str], *, also: Collection[str] = ()) -> dict[str, str]:
    """The annotations or labels that wadm is told: those of wasmCloud except the operator's own, and the named ones.

    What kubectl and GitOps tools write for themselves stays out: it changes without the application changing.
    """
    return {key: value for key, value in entries.items() if key in also or _passes(key)}


def choose_version(content: Content, stored: Collection[str], declared_digest: str | None) -> VersionChoice:
    """The version under which wadm has or gets a content, so that no content is put twice.

    ``stored`` are the versions that wadm lists for the application, ``declared_digest`` is what ``digest_of`` reads
    from the stored manifest of the declared version, if there is one. Without a declared version it is made of the
    content. A declared version stays with the content that it was first put with: wadm refuses to replace it, and users
    forget to change it, so later contents are named after it, ``1.2.0+0f3c…``.
    """
    declared = content.declared_version
    if declared is None:
        version = f"content-{content.short_digest}"
        return VersionChoice(version, stored=version in stored, renamed=False)
    made = f"{declared}+{content.short_digest}"
    if made in stored:
        return VersionChoice(made, stored=True, renamed=True)
    if declared not in stored:
        return VersionChoice(declared, stored=False, renamed=False)
    if declared_digest == content.digest:
        return VersionChoice(declared, stored=True, renamed=False)
    return VersionChoice(made, stored=False, renamed=True)


def draft(content: Content) -> dict[str, object]:
    """The manifest as its user wrote it, for validation: with the declared version, if any, and without an owner."""
    version = {} if content.declared_version is None else {VERSION: content.declared_version}
    return _document(content, {**content.annotations, **version})


def to_manifest(content: Content, version: str, owner: Owner) -> dict[str, object]:
    """The manifest to put: the content under a version, with its owner.

    Raises ValueError for the version "latest", which in wadm is a name for the newest one.
    """
    if version == "latest":
        raise ValueError('the version "latest" is reserved in wadm')
    ours = {
        VERSION: version,
        OWNER_CLUSTER: owner.cluster,
        OWNER_NAMESPACE: owner.namespace,
        OWNER_NAME: owner.name,
        CONTENT_DIGEST: content.digest,
    }
    return _document(content, {**content.annotations, **ours})


def owner_of(manifest: Mapping[str, object]) -> Owner | None:
    """The owner that a stored manifest names; None for an application that none of our operators has put."""
    annotations = _annotations(manifest)
    cluster, namespace, name = (annotations.get(key) for key in (OWNER_CLUSTER, OWNER_NAMESPACE, OWNER_NAME))
    if cluster is None or namespace is None or name is None:
        return None
    return Owner(cluster, namespace, name)


def digest_of(manifest: Mapping[str, object]) -> str | None:
    """The digest of the content that a stored manifest was made from; None if none of our operators has put it.

    It is read, not computed: wadm rewrites what it stores (aliases, deprecated forms, empty lists).
    """
    return _annotations(manifest).get(CONTENT_DIGEST)


def _document(content: Content, annotations: Mapping[str, str]) -> dict[str, object]:
    """Annotations are always there, even if empty: wadm takes no manifest without them."""
    metadata: dict[str, object] = {"name": content.name, "annotations": dict(annotations)}
    if content.labels:
        metadata["labels"] = dict(content.labels)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": dict(content.spec)}


def _annotations(manifest: Mapping[str, object]) -> dict[str, str]:
    metadata = manifest.get("metadata")
    return _strings(metadata.get("annotations")) if isinstance(metadata, Mapping) else {}


def _passes(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    return bool(slash) and _within(domain, _PASSED_DOMAIN) and not _within(domain, _OWN_DOMAIN)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def _strings(entries: object) -> dict[str, str]:
    if not isinstance(entries, Mapping):
        return {}
    return {key: value for key, value in entries.items() if isinstance(value, str)}


def _digest(content: Mapping[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
