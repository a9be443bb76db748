"""What to ask of wadm next: decided from what it has and what is wanted, without asking anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wasmcloud_operator.application.manifest import Content, Owner, choose_version, content_of, to_manifest
from wasmcloud_operator.application.view import Record
from wasmcloud_operator.kube.objects import CustomResource

_MADE = re.compile(r"(?:content-|.*\+)[0-9a-f]{12}")

# wadm keeps all versions in one NATS message; the rest is for its own fields.
_FILL = 0.8


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
    first: bool
    """wadm does not know the application yet, and does not guard the first put: read back who won."""

    renamed: bool
    """The declared version has another content."""

    adopts: bool
    """Nobody of ours has put it: it was deployed by other means."""

    inherits: Owner | None = None
    """An owner of this cluster that is there no more."""


def settled(record: Record | None, content: Content, me: Owner) -> bool:
    """Whether what is known already says that the content runs, and that it is ours."""
    if record is None or record.suspect or not record.deployed or record.owner != me or record.digest != content.digest:
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
        first=stored is None,
        renamed=choice.renamed,
        adopts=stored is not None and owner is None,
        inherits=foreign,
    )


def to_prune(versions: Iterable[str], keep: Iterable[str], *, limit: int, room: int) -> tuple[list[str], int]:
    """The versions that may go, oldest first, and how many of them have to.

    `limit` old ones may stay beside the new one, fewer when there is `room` for no more. Neither those in `keep` nor
    more than is needed ever go.
    """
    kept = set(keep)
    stored = list(versions)
    candidates = [version for version in stored if version not in kept]
    excess = len(stored) - min(limit, max(room, 0))
    return candidates, max(0, min(excess, len(candidates)))


def room_for(stored: Stored, new_bytes: int, max_payload: int) -> int:
    """How many old versions have room in wadm's one message beside the new one, going by the newest one's size."""
    if not stored.newest_bytes:
        return len(stored.versions)
    return int((max_payload * _FILL - new_bytes) // stored.newest_bytes)


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
