"""The lattices that an Application uses and leaves, by its status and by what is held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from wasmcloud_operator.application.lattice_selector import LatticeSelector
from wasmcloud_operator.application.place import Place, as_annotation, departures, place
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.lattice.identity import LatticeIdentity
from wasmcloud_operator.names import FIRST_PLACE


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


def item(lattice: str, lattice_id: str, first: str | None = None) -> CustomResource:
    status = {"lattice": lattice, "latticeId": lattice_id, "hostConfig": "pool"} if lattice else None
    annotations = {FIRST_PLACE: first} if first is not None else {}
    return CustomResource(ObjectMeta("shop", "here", "uid", "1", 1, annotations=annotations), spec={}, status=status)


def test_a_move_that_is_not_in_the_status_yet_still_leaves_the_former_lattice():
    selector = LatticeSelector(Held(), None)
    former, following = Lattice("one", ("id-1",)), Lattice("two", ("id-2",))
    moving = item("one", "id-1")
    selector.hold(moving.metadata.key, following)
    left = selector.leaving(moving, following)
    assert left == [Place("one", "pool", "id-1")], "its put went unanswered"
    assert left[0].is_in(former.identity)


FIRST = Place("one", "pool", "0123456789ab")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (as_annotation(FIRST, "uid"), FIRST),
        (as_annotation(FIRST, "another Application's, whose manifest was copied"), None),
        ("", None),
        ("uid", None),
        ("uid 0123456789ab pool", None),
        ("uid 0123456789ab pool no.token", None),
        ("uid no-id pool one", None),
        ("[" * 100_000, None),
    ],
)
def test_without_a_status_an_application_is_where_it_was_put_first(written, found):
    assert place(item("", "", written)) == found


def test_the_status_has_a_later_lattice_than_the_annotation():
    assert place(item("two", "id-2", as_annotation(FIRST, "uid"))) == Place("two", "pool", "id-2")


@pytest.mark.parametrize("leaving", [3, True, "one", {"lattice": "one"}, ["one", 3, None]])
def test_a_status_of_another_shape_names_no_departures(leaving):
    assert departures({"leaving": leaving}) == ()


@pytest.mark.parametrize("lattice", ["", "a.b", "a b", ">", 3, ["one"], None])
def test_a_status_with_a_name_that_no_lattice_can_have_names_no_place(lattice):
    status = {"lattice": lattice, "leaving": [{"lattice": lattice, "latticeId": "0123456789ab"}]}
    of_others = CustomResource(ObjectMeta("shop", "here", "uid", "1", 1), spec={}, status=status)
    assert (place(of_others), departures(status)) == (None, ())


def test_a_lattice_is_not_left_for_an_id_that_it_had_before():
    selector = LatticeSelector(Held(), None)
    lattice = Lattice("one", ("id-2", "id-1"))
    selector.hold(item("one", "id-1").metadata.key, lattice)
    assert selector.leaving(item("one", "id-1"), lattice) == []
