"""The next requests to wadm: a pure decision from what wadm has and what is wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from wasmcloud_operator.lattice.content import Content, Owner, choose_version, mapping

# See `scaler_shape`.
Shape: TypeAlias = frozenset[tuple[str, ...]]

_MADE = re.compile(r"(?:content-|.*\+)[0-9a-f]{12}")

# wadm keeps all versions in one NATS message: this much of it is for those that were measured, and this much for small
# ones that were not; the rest is for its own fields.
_FILL = 0.8
_SMALL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
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

    shape: Shape | None = None
    """`scaler_shape` of what is deployed; None when nothing is."""


@dataclass(frozen=True, slots=True)
class OwnedByAnother:
    """It belongs to somebody else."""

    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The steps that bring a content to run under `version`; no step where it runs already."""

    version: str
    put: bool
    deploy: bool
    renamed: bool
    """The declared version has another content."""

    adopts: bool
    """Nobody of ours has put it: it was deployed by other means."""

    inherits: Owner | None = None
    """An owner of this cluster that is there no more."""


def decide(content: Content, stored: Stored | None, me: Owner, alive: Callable[[Owner], bool]) -> OwnedByAnother | Run:
    """What it takes to run the content. `alive` returns whether an owner still exists."""
    owner = stored.owner if stored else None
    foreign = owner if owner is not None and not owner.is_same(me) else None
    if foreign is not None and alive(foreign):
        return OwnedByAnother(foreign)
    choice = choose_version(content, stored.versions if stored else (), stored.declared_digest if stored else None)
    return Run(
        version=choice.version,
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
    """Whether these old versions may stay beside a new one: `limit` at most, and no more in all than wadm can store.

    `sizes` in bytes, of those that were measured; `whole` is a NATS message.
    """
    return len(versions) <= limit and new_bytes + sum(sizes.get(version, 0) for version in versions) <= whole * _FILL


def made_by_operator(version: str) -> bool:
    """Whether a version has a name that only the operator makes."""
    return _MADE.fullmatch(version) is not None


def size_of(manifest: object) -> int:
    """Bytes of a manifest as it is sent."""
    return len(json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode(errors="replace"))


def names_of(content: Content) -> tuple[str, ...]:
    """The versions under which a content may be stored."""
    declared = content.declared_version
    if declared is None:
        return (choose_version(content, (), None).version,)
    return declared, f"{declared}+{content.short_digest}"


def scaler_shape(manifest: Mapping[str, object]) -> Shape:
    """What of a manifest is in the ids of wadm's scalers: when this differs, so do they.

    These are images, component ids, the names of configurations and the ends of links; instances and the values of
    configurations are not in it.
    """
    spec = mapping(manifest.get("spec"))
    return frozenset(part for component in _mappings(spec.get("components")) for part in _shape_of(component))


def _shape_of(component: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    name, properties = str(component.get("name")), mapping(component.get("properties"))
    yield "component", name, str(properties.get("image")), str(properties.get("id")), *_config_names(properties)
    for trait in _mappings(component.get("traits")):
        about = mapping(trait.get("properties"))
        if trait.get("type") == "link":
            source, target = _end(about, "source"), _end(about, "target")
            ends = ("target", *_config_names(target), "source", *_config_names(source))
            yield "link", name, str(about.get("name", "default")), str(target.get("name")), *ends


def _end(link: Mapping[str, object], end: str) -> Mapping[str, object]:
    """The source or target of a link, in wadm's present form also where it is written in the deprecated one.

    wadm stores only that form: a version that is written must not differ from the same one that is read.
    """
    found = link.get(end)
    return found if isinstance(found, Mapping) else {"name": found, "config": link.get(f"{end}_config")}


def _config_names(owner: Mapping[str, object]) -> list[str]:
    return sorted(str(config.get("name")) for config in _mappings(owner.get("config")))


def _mappings(value: object) -> list[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []
