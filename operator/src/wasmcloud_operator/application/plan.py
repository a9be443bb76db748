"""What to ask of wadm next: decided from what it has and what is wanted, without asking anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from wasmcloud_operator.application.manifest import Content, Owner, choose_version, content_of, to_manifest
from wasmcloud_operator.application.view import Record
from wasmcloud_operator.kube.objects import CustomResource

_MADE = re.compile(r"(?:content-|.*\+)[0-9a-f]{12}")

# wadm keeps all versions in one NATS message: this much of it is for those that were measured, and this much for small
# ones that were not; the rest is for its own fields.
_FILL = 0.8
_SMALL = 0.1


@dataclass(frozen=True, slots=True)
class Stored:
    """An application as wadm has it, read for a decision."""

    versions: tuple[str, ...]
    """Oldest first."""

    deployed: str
    """Empty when none is."""

    owner: Owner | None
    declared_digest: str | None
    """Digest of the content under the wanted content's declared version, if there is one."""

    newest_bytes: int = 0
    """Size of the newest manifest as JSON."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """It belongs to somebody else."""

    owner: Owner


@dataclass(frozen=True, slots=True)
class Run:
    """The steps that bring a content to run under `version`; none of them when it does."""

    version: str
    put: bool
    deploy: bool
    renamed: bool
    """The declared version has another content."""

    adopts: bool
    """Nobody of ours has put it: it was deployed by other means."""

    inherits: Owner | None = None
    """An owner of this cluster that is there no more."""


def settled(record: Record | None, content: Content, me: Owner) -> bool:
    """Whether what is known already says that the content runs, and that it is ours."""
    if (
        record is None
        or not record.certain
        or not record.deployed
        or record.owner != me
        or record.digest != content.digest
    ):
        return False
    return record.deployed in _names_of(content)


def remembered(record: Record, content: Content, me: Owner, *, version: object, digest: object) -> None:
    """Take the owner and digest that an earlier life wrote into the status for those of the record, if they fit it.

    They were read from wadm before they were written, and ownership cannot pass on while the record stays as it is.
    """
    if record.owner is None and record.deployed and record.deployed == version and digest == content.digest:
        record.owner, record.digest = me, content.digest


def deployed_manifest(item: CustomResource, version: str, cluster: str) -> dict[str, object] | None:
    """The manifest that wadm has deployed under a version, if the Application's status says that it is of its content.

    None when wadm has to be asked.
    """
    told = item.status if isinstance(item.status, dict) else {}
    if told.get("deployedVersion") != version or not isinstance(item.spec, dict):
        return None
    meta = item.metadata
    content = content_of({"name": meta.name, "annotations": meta.annotations, "labels": meta.labels}, item.spec)
    if told.get("contentDigest") != content.digest:
        return None
    return to_manifest(content, version, Owner(cluster, meta.namespace, meta.name))


def decide(content: Content, stored: Stored | None, me: Owner, alive: Callable[[Owner], bool]) -> Conflict | Run:
    """What it takes to run the content. `alive` tells whether an owner still stands behind what it put."""
    owner = stored.owner if stored else None
    foreign = owner if owner is not None and owner != me else None
    if foreign is not None and alive(foreign):
        return Conflict(foreign)
    choice = choose_version(content, stored.versions if stored else (), stored.declared_digest if stored else None)
    return Run(
        choice.version,
        put=not choice.stored,
        deploy=stored is None or stored.deployed != choice.version,
        renamed=choice.renamed,
        adopts=stored is not None and owner is None,
        inherits=foreign,
    )


def worth_measuring(size: int, limit: int, whole: int) -> bool:
    """Whether the stored versions have to be measured before one of `size` bytes is put: not while all are small."""
    return size * (limit + 1) > whole * _SMALL


def fits(versions: Collection[str], sizes: Mapping[str, int], new_bytes: int, *, limit: int, whole: int) -> bool:
    """Whether these old versions may stay beside a new one: `limit` at most, and with it no more than wadm can store.

    `sizes` in bytes, of those that were measured; `whole` is a NATS message.
    """
    return len(versions) <= limit and new_bytes + sum(sizes.get(version, 0) for version in versions) <= whole * _FILL


def made_by_operator(version: str) -> bool:
    """Whether a version has a name that only the operator gives."""
    return _MADE.fullmatch(version) is not None


def size_of(manifest: object) -> int:
    """Bytes of a manifest as it is sent."""
    return len(json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode(errors="replace"))


def _names_of(content: Content) -> tuple[str, ...]:
    declared = content.declared_version
    if declared is None:
        return (choose_version(content, (), None).version,)
    return declared, f"{declared}+{content.short_digest}"
