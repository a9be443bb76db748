"""Whose turn it is: tenants that wait for the same few slots, none of which can keep the others out."""

from __future__ import annotations

import heapq
import sys
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Priority(IntEnum):
    """Keys of a higher priority are served first; within one priority tenants take turns.

    controller-runtime's priority queue: what the initial list or a resync brings must not make a fresh edit wait.
    """

    BACKGROUND = -100
    FRESH = 0

    @classmethod
    def of(cls, listed: bool) -> Priority:
        """Returns the priority of a change that an informer shows: what it lists may have been there for long."""
        return cls.BACKGROUND if listed else cls.FRESH


@dataclass(frozen=True, slots=True)
class Shares:
    """How many slots there are, and for whom.

    `limit` slots are for whoever comes first. `spare` more are only for a tenant that holds fewer than `share` slots,
    so that one that has filled the limit with slow work keeps nobody else waiting.
    """

    limit: int
    spare: int = 0
    share: int = 0

    @classmethod
    def beside(cls, limit: int) -> Shares:
        """Returns `limit` slots for all, and a quarter as many besides."""
        spare = max(1, limit // 4)
        return cls(limit, spare, max(1, spare // 4))

    @classmethod
    def within(cls, total: int) -> Shares:
        """Returns `total` slots, of which a quarter is spare."""
        spare = max(1, total // 4)
        return cls(total - spare, spare, max(1, spare // 4))

    @property
    def total(self) -> int:
        """How many slots there are in all."""
        return self.limit + self.spare


UNBOUNDED = Shares(sys.maxsize)


_HIGHEST_FIRST = tuple(sorted(Priority, reverse=True))


@dataclass(slots=True)
class _Tenant(Generic[K]):
    """`keys`: the waiting keys in the order they came. `turn`: when the tenant was served last, or came first."""

    turn: int
    keys: dict[Priority, OrderedDict[K, None]] = field(
        default_factory=lambda: {priority: OrderedDict() for priority in _HIGHEST_FIRST}
    )
    held: int = 0
    rank: int = 0  # of the heap's entry that counts for this tenant; all others are leftovers

    def best(self) -> Priority | None:
        """Returns the highest priority of its waiting keys."""
        for priority, keys in self.keys.items():  # twice a key: a generator takes three times as long
            if keys:
                return priority
        return None


class Turns(Generic[K]):
    """Keys that wait for a slot, by tenant.

    Handed out first: the highest priority; then the tenant that holds the fewest slots; then the key that has waited
    longest for its turn. With one tenant this is first come, first served.

    Invariants: a tenant is in `_tenants` exactly while it has waiting keys or holds slots; one with waiting keys has
    exactly one valid entry in `_heap`, made at its last change.
    """

    def __init__(self, shares: Shares = UNBOUNDED) -> None:
        self.shares = shares
        self._tenants: dict[str, _Tenant[K]] = {}
        self._heap: list[tuple[int, int, int, int, str]] = []
        self._count = 0
        self._total = 0

    @property
    def waiting(self) -> bool:
        """Whether any key may wait."""
        return bool(self._heap)

    @property
    def taken(self) -> int:
        """How many slots are held."""
        return self._total

    def held(self, tenant: str) -> int:
        """Returns how many slots the tenant holds."""
        return self._tenants[tenant].held if tenant in self._tenants else 0

    def add(self, tenant: str, key: K, priority: Priority) -> None:
        """Have the key wait for a slot; one that waits already gets the higher of both priorities."""
        waiting = self._tenants.get(tenant)
        if waiting is None:
            waiting = self._tenants[tenant] = _Tenant(self._next())
        before = waiting.best()
        for other, keys in waiting.keys.items():
            if key in keys:
                if other >= priority:
                    return
                del keys[key]
        waiting.keys[priority][key] = None
        if before is None or priority > before:
            self._rank(tenant, waiting, priority)

    def discard(self, tenant: str, key: K) -> None:
        """Take the key away if it waits."""
        waiting = self._tenants.get(tenant)
        if waiting is None:
            return
        for keys in waiting.keys.values():
            keys.pop(key, None)
        self._changed(tenant, waiting)

    def take(self) -> K | None:
        """Returns the key whose turn it is, with a slot that `free` must give back; None if none is free for a key."""
        passed_over: list[tuple[int, int, int, int, str]] = []
        taken: K | None = None
        while self._heap and self._total < self.shares.total:
            entry = heapq.heappop(self._heap)
            tenant = self._tenants.get(entry[4])
            if tenant is None or tenant.rank != entry[3]:
                continue
            if self._total >= self.shares.limit and tenant.held >= self.shares.share:
                passed_over.append(entry)
                continue
            taken = self._take_from(entry[4], tenant)
            break
        for entry in passed_over:
            heapq.heappush(self._heap, entry)
        return taken

    def free(self, tenant: str) -> None:
        """Give one slot of the tenant back."""
        holder = self._tenants[tenant]
        holder.held -= 1
        self._total -= 1
        self._changed(tenant, holder)

    def _take_from(self, name: str, tenant: _Tenant[K]) -> K:
        keys = next(keys for keys in tenant.keys.values() if keys)
        key, _ = keys.popitem(last=False)
        tenant.held += 1
        tenant.turn = self._next()
        self._total += 1
        self._changed(name, tenant)
        return key

    def _changed(self, name: str, tenant: _Tenant[K]) -> None:
        best = tenant.best()
        if best is not None:
            self._rank(name, tenant, best)
        else:
            tenant.rank = 0
            if not tenant.held:
                del self._tenants[name]

    def _rank(self, name: str, tenant: _Tenant[K], best: Priority) -> None:
        tenant.rank = self._next()
        heapq.heappush(self._heap, (-best, tenant.held, tenant.turn, tenant.rank, name))
        if len(self._heap) > 2 * len(self._tenants) + 64:
            self._heap = [entry for entry in self._heap if self._valid(entry)]
            heapq.heapify(self._heap)

    def _valid(self, entry: tuple[int, int, int, int, str]) -> bool:
        tenant = self._tenants.get(entry[4])
        return tenant is not None and tenant.rank == entry[3]

    def _next(self) -> int:
        self._count += 1
        return self._count
