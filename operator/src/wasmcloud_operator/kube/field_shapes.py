"""The shapes of the API server's fields, as far as they decide what is merged, kept and equal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in one of several spellings: `500m` is `0.5`."""


@dataclass(frozen=True, slots=True)
class Struct:
    """An object of the type `of`.

    `closed`: it is merged as a whole (`x-kubernetes-map-type: atomic`) and the API server fills nothing in, so what
    others add to it counts as a difference.
    """

    of: str
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """An object whose keys are the user's own words; `closed` as in `Struct`."""

    values: Shape | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list. With `keys` its items are merged by these, and `defaults` has the keys that an item may leave out.

    `unordered`: a set of scalars. Without either it is replaced as a whole (`x-kubernetes-list-type: atomic`).
    """

    of: Shape | None = None
    keys: tuple[str, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    unordered: bool = False


Shape = Quantity | Struct | Map | Items


@dataclass(frozen=True, slots=True)
class Type:
    """The fields of one type that are neither plain scalars nor plain lists, and the fields left out when zero."""

    fields: dict[str, Shape]
    omitted: frozenset[str] = frozenset()
