"""Bounds on the memory that everything takes which others say: in each lattice, and in all together.

Whoever may make host configs decides how many lattices there are.
"""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakKeyDictionary

from wasmcloud_operator.lattice.wadm_types import AppStatus

PART_BYTES = 64 * 1024 * 1024
ALL_BYTES = 256 * 1024 * 1024
FREE_BYTES = 1024 * 1024


class Room:
    """What each part of a lattice (its hosts, its statuses) takes. A part that is gone takes nothing."""

    def __init__(self) -> None:
        self._taken: WeakKeyDictionary[object, int] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<Room {sum(self._taken.values())} bytes taken by {len(self._taken)}>"

    def take(self, part: object, size: int) -> None:
        """The part takes so many bytes by now."""
        self._taken[part] = size

    def limit(self, size: int) -> int:
        """Returns how much a part may have that wants `size` bytes: once all have too much, an equal share of that.

        Little may be had in any case.
        """
        if size <= FREE_BYTES or sum(self._taken.values()) < ALL_BYTES:
            return PART_BYTES
        return min(PART_BYTES, max(FREE_BYTES, ALL_BYTES // len(self._taken)))


class StatusRoom:
    """What the statuses of a lattice's applications take."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._sizes: dict[str, int] = {}
        self._total = 0  # invariant: the sum of `_sizes`

    def __repr__(self) -> str:
        return f"<StatusRoom {self._total} bytes of {len(self._sizes)} applications>"

    def fitted(self, name: str, status: AppStatus, known: Collection[str]) -> AppStatus:
        """Returns the status in place of the former one of that application; without scalers where there is no room.

        `known` are all the applications of which one may still be kept.
        """
        self._total -= self._sizes.pop(name, 0)
        gone = len(self._sizes) - len(known)
        if gone > len(known) or (gone > 0 and not self._fits(status.size)):
            self._sizes = {one: size for one, size in self._sizes.items() if one in known}
            self._total = sum(self._sizes.values())
        if not self._fits(status.size):
            status = AppStatus(info=status.info)
        self._sizes[name] = status.size
        self._total += status.size
        self._room.take(self, self._total)
        return status

    def _fits(self, size: int) -> bool:
        return self._total + size <= self._room.limit(self._total + size)
