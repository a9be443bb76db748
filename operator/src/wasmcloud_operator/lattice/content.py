"""An application's content, its manifest for wadm, and what is read back from a stored manifest.

All of it is pure: the same content has the same digest and version on every run and every replica.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

API_VERSION = "core.oam.dev/v1beta1"
KIND = "Application"
VERSION = "version"
DESCRIPTION = "description"

# In the manifests that the operator puts: the Application they were made from, its cluster, and of what content.
OWNER_CLUSTER = "k8s.wasmcloud.dev/owner-cluster"
OWNER_NAMESPACE = "k8s.wasmcloud.dev/owner-namespace"
OWNER_NAME = "k8s.wasmcloud.dev/owner-name"
OWNER_UID = "k8s.wasmcloud.dev/owner-uid"
CONTENT_DIGEST = "k8s.wasmcloud.dev/content-digest"

_SHORT_DIGEST = 12
"""Hexadecimal digits of a digest in a version: two contents of one application must never share one."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that an application in a lattice belongs to. Two clusters may share a lattice.

    Owners are compared by `is_same`: the uid is the resource's own, what else is known of it is a hint.
    """

    cluster: str
    """Identity of the Kubernetes cluster."""

    namespace: str
    name: str
    uid: str = ""
    """Empty in what was put before owners had one."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} in cluster {self.cluster}"

    @property
    def name_here(self) -> tuple[str, str, str]:
        """The name that one resource after another may have."""
        return self.cluster, self.namespace, self.name

    def is_same(self, other: Owner | None) -> bool:
        """Whether both are one resource."""
        if other is None:
            return False
        if self.uid and other.uid:
            return self.uid == other.uid
        return self.name_here == other.name_here


@dataclass(frozen=True, slots=True, kw_only=True)
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
        OWNER_UID: owner.uid,
        CONTENT_DIGEST: content.digest,
    }
    return _document(content, {**content.annotations, **ours})


def owner_of(manifest: Mapping[str, object]) -> Owner | None:
    """The owner that a stored manifest names; None for an application that none of our operators has put."""
    annotations = _annotations(manifest)
    cluster, namespace, name = (annotations.get(key) for key in (OWNER_CLUSTER, OWNER_NAMESPACE, OWNER_NAME))
    if cluster is None or namespace is None or name is None:
        return None
    return Owner(cluster, namespace, name, annotations.get(OWNER_UID, ""))


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
    return strings(mapping(manifest.get("metadata")).get("annotations"))


def strings(entries: object) -> dict[str, str]:
    """Returns the entries of an object whose values are texts; empty for anything else."""
    return {key: value for key, value in mapping(entries).items() if isinstance(value, str)}


def mapping(value: object) -> Mapping[str, object]:
    """Returns an object as it is, and an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}
