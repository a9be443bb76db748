"""Where an Application is in the lattices, by its status and by the annotation of the first one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from wasmcloud_operator.base.jsontypes import JsonObject, as_object, as_objects
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.lattice.identity import LatticeIdentity
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.lattice.subjects import is_token
from wasmcloud_operator.names import FIRST_PLACE
from wasmcloud_operator.shared.pools import Pools

# The annotation of the first place, which users may write too: uid, lattice id, host config, name of the lattice.
_FIRST = re.compile(r"(\S{1,64}) ([0-9a-f]{12}) ([-.a-z0-9]{1,253}) (\S{1,255})")


@dataclass(frozen=True, slots=True)
class Place:
    """A lattice that an Application was put in, and the host config whose route led there."""

    lattice: str
    host_config: str = ""
    id: str = ""
    """One of the lattice's ids; empty in a status that was written before lattices had them."""

    problem: str = field(default="", compare=False)
    """Why the Application could not be taken out of it yet."""

    def is_in(self, identity: LatticeIdentity) -> bool:
        """Whether this is that lattice, as far as is known."""
        return self.id in identity.ids if self.id else self.lattice == identity.name

    def as_status(self) -> JsonObject:
        """As it stands in `status.leaving`."""
        entry = {"lattice": self.lattice, "latticeId": self.id, "hostConfig": self.host_config}
        return {**entry, "problem": self.problem} if self.problem else entry


def place(item: CustomResource) -> Place | None:
    """Where the Application is, or is about to be put; None before that."""
    found = _place(item.status) if isinstance(item.status, dict) else None
    return found or first_place(item)


def stored_at(item: CustomResource) -> Place | None:
    """Where wadm has, or had last, what was put for an Application; None of one that was never put, as far as is known.

    A status alone names the lattice also of what another owner keeps from it.
    """
    was_put = "contentDigest" in as_object(item.status) and not is_copied(item)
    return place(item) if was_put else first_place(item)


def first_place(item: CustomResource) -> Place | None:
    """The first lattice that an Application was to be put in; None of an annotation that was copied from another."""
    written = _FIRST.fullmatch(item.metadata.annotations.get(FIRST_PLACE, ""))
    if written is None or written[1] != item.metadata.uid:
        return None
    return _place({"latticeId": written[2], "hostConfig": written[3], "lattice": written[4]})


def is_copied(item: CustomResource) -> bool:
    """Whether the annotation is another Application's, as after a restore: then so may the status be."""
    written = _FIRST.fullmatch(item.metadata.annotations.get(FIRST_PLACE, ""))
    return written is not None and written[1] != item.metadata.uid


def as_annotation(place: Place, uid: str) -> str:
    """The annotation of the Application of that uid, which `first_place` reads."""
    return f"{uid} {place.id} {place.host_config} {place.lattice}"


def departures(status: object) -> tuple[Place, ...]:
    """The lattices that it is leaving."""
    found = (_place(entry) for entry in as_objects(as_object(status).get("leaving")))
    return tuple(one for one in found if one is not None)


def lattices_of(item: CustomResource, pools: Pools) -> set[Lattice]:
    """The lattices in which an Application is or may be, of those with pools."""
    places = (*departures(item.status), *filter(None, (place(item),)))
    found = {lattice for one in places for lattice in pools.known_as(one.id)}
    return found | {pool.lattice for pool in pools.in_namespace(item.metadata.namespace)}


def _place(entry: JsonObject) -> Place | None:
    """None also of a name that no lattice can have: statuses and annotations are written by others too."""
    lattice = entry.get("lattice")
    if not isinstance(lattice, str) or not is_token(lattice):
        return None
    host_config, id_, problem = (str(entry.get(name) or "") for name in ("hostConfig", "latticeId", "problem"))
    return Place(lattice, host_config, id_, problem)
