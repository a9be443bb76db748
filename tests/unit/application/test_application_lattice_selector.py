"""The lattices that an Application uses and leaves, by its status and by what is held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.application.place import Place
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.lattice.identity import LatticeIdentity


@dataclass(eq=False)
class Lattice:
    name: str
    ids: tuple[str, ...]

    @property
    def identity(self) -> LatticeIdentity:
        return LatticeIdentity(self.name, self.ids[0], frozenset(self.ids))


@dataclass
class Held:
    """Both `Pools` and its `lattices`, as far as departures ask them."""

    held: dict[str, Any] = field(default_factory=dict)

    @property
    def lattices(self) -> Held:
        return self

    def held_by(self, holder: str) -> Any:
        return self.held.get(holder)

    def keep(self, holder: str, lattice: Any) -> None:
        self.held[holder] = lattice


def item(lattice: str, lattice_id: str) -> CustomResource:
    status = {"lattice": lattice, "latticeId": lattice_id, "hostConfig": "pool"}
    return CustomResource(ObjectMeta("shop", "here", "uid", "1", 1), spec={}, status=status)


def test_a_move_that_is_not_in_the_status_yet_still_leaves_the_former_lattice():
    selector = LatticeSelector(Held(), None)
    former, following = Lattice("one", ("id-1",)), Lattice("two", ("id-2",))
    moving = item("one", "id-1")
    selector.hold(moving.metadata.key, following)
    left = selector.leaving(moving, following)
    assert left == [Place("one", "pool", "id-1")], "its put went unanswered"
    assert left[0].is_in(former.identity)


def test_a_lattice_is_not_left_for_an_id_that_it_had_before():
    selector = LatticeSelector(Held(), None)
    lattice = Lattice("one", ("id-2", "id-1"))
    selector.hold(item("one", "id-1").metadata.key, lattice)
    assert selector.leaving(item("one", "id-1"), lattice) == []
