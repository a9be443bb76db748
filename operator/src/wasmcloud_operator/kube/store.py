"""The cache of one kind: indexed, atomic in its relists, and never rolled back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from wasmcloud_operator.kube.objects import HasMetadata, newer
from wasmcloud_operator.kube.resources import Key

T = TypeVar("T", bound=HasMetadata)

Indexer = Callable[[T], Iterable[str]]

# How many uids of deleted objects are remembered. A late answer is seconds late, so this is ample.
_TOMBSTONES = 4096


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What happened to one object: `old` None when it appeared, `new` None when it vanished."""

    old: T | None
    new: T | None

    @property
    def item(self) -> T:
        """The object in its latest known state."""
        item = self.new if self.new is not None else self.old
        if item is None:
            raise ValueError("a change without an object")
        return item

    @property
    def key(self) -> Key:
        """Namespace and name of the object."""
        return self.item.metadata.key


class Store(Generic[T]):
    """Objects of one kind by key, with indexes.

    Invariants: every object is in `_objects` once and in each index under exactly the values that its indexer gives;
    an object's resourceVersion never goes back; a uid seen to vanish never returns. All methods are synchronous, so
    a reader on the loop never sees half of a change or of a relist.
    """

    def __init__(self, indexers: Mapping[str, Indexer[T]] | None = None) -> None:
        self._objects: dict[Key, T] = {}
        self._indexers = dict(indexers or {})
        self._indexes: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexers}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._objects.values()))

    def __repr__(self) -> str:
        return f"<Store of {len(self)} objects, indexes: {', '.join(self._indexers) or 'none'}>"

    def get(self, key: Key) -> T | None:
        """The object of that key."""
        return self._objects.get(key)

    def keys(self) -> list[Key]:
        """All keys."""
        return list(self._objects)

    def by_index(self, index: str, value: str) -> list[T]:
        """The objects for which that index has the value, in the order of their keys."""
        return [self._objects[key] for key in sorted(self._indexes[index].get(value, ()))]

    def index_values(self, index: str) -> list[str]:
        """The values under which that index has any object."""
        return sorted(self._indexes[index])

    def put(self, item: T) -> list[Change[T]]:
        """Take in an object as it is (or was) at its resourceVersion.

        A state that is not newer than the one held, or of a uid that is known to be gone, changes nothing. Another
        uid under the same name is a deletion and an addition.
        """
        meta = item.metadata
        if meta.uid in self._gone:
            return []
        old = self._objects.get(meta.key)
        if old is None:
            self._set(meta.key, item)
            return [Change(None, item)]
        if not newer(meta.resource_version, old.metadata.resource_version):
            return []
        if old.metadata.uid != meta.uid:
            self._bury(old.metadata.uid)
            self._set(meta.key, item)
            return [Change(old, None), Change(None, item)]
        self._set(meta.key, item)
        return [Change(old, item)]

    def delete(self, key: Key, uid: str) -> list[Change[T]]:
        """Take note that the object of that key and uid is gone for good."""
        self._bury(uid)
        old = self._objects.get(key)
        if old is None or old.metadata.uid != uid:
            return []
        self._unset(key)
        return [Change(old, None)]

    def replace(self, items: Iterable[T], resource_version: str, *, namespace: str = "") -> list[Change[T]]:
        """Make the cache (or its part of one namespace) equal to a list taken at `resource_version`.

        What was written by ourselves after the list was taken is kept: the watch that follows the list brings it.
        """
        listed = {item.metadata.key: item for item in items}
        changes: list[Change[T]] = []
        for key, held in list(self._objects.items()):
            if (namespace and key.namespace != namespace) or key in listed:
                continue
            if resource_version and newer(held.metadata.resource_version, resource_version):
                continue
            changes += self.delete(key, held.metadata.uid)
        for item in listed.values():
            changes += self.put(item)
        return changes

    def drop(self, namespace: str) -> list[Change[T]]:
        """Forget all objects of one namespace that is no longer followed (they may well exist)."""
        changes = []
        for key in [key for key in self._objects if key.namespace == namespace]:
            changes.append(Change(self._objects[key], None))
            self._unset(key)
        return changes

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        self._gone.move_to_end(uid)
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)

    def _set(self, key: Key, item: T) -> None:
        self._unset(key)
        self._objects[key] = item
        for name, indexer in self._indexers.items():
            for value in indexer(item):
                self._indexes[name].setdefault(value, set()).add(key)

    def _unset(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            for value in indexer(old):
                keys = index.get(value)
                if keys is not None:
                    keys.discard(key)
                    if not keys:
                        del index[value]
