"""The cache of one kind: indexed, atomic in its relists, and never rolled back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from wasmcloud_operator.kube.objects import HasMetadata, newer
from wasmcloud_operator.kube.resources import Key

log = structlog.get_logger()

T = TypeVar("T", bound=HasMetadata)

Indexer = Callable[[T], Iterable[str]]

# How many uids of vanished objects are remembered. A late answer is seconds late, so this is ample.
_TOMBSTONES = 4096
# Later than any resourceVersion: an object that the API server says is gone, as against one that left a selection.
_FOR_GOOD = str(2**128)


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
    an object's resourceVersion never goes back; a uid seen to vanish never returns in a state from before that. All
    methods are synchronous, so a reader on the loop never sees half of a change or of a relist.
    """

    def __init__(self, indexers: Mapping[str, Indexer[T]] | None = None) -> None:
        self._objects: dict[Key, T] = {}
        self._indexers = dict(indexers or {})
        self._indexes: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexers}
        # By uid: the resourceVersion up to which the object is known to have vanished. It may come back later than
        # that, by matching the label selector of the watch again.
        self._gone: OrderedDict[str, str] = OrderedDict()

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

        A state that is not newer than the one held, or than the one in which the object vanished, changes nothing.
        Another uid under the same name is a deletion and an addition.
        """
        meta = item.metadata
        gone = self._gone.get(meta.uid)
        if gone is not None:
            if not newer(meta.resource_version, gone):
                return []
            del self._gone[meta.uid]
        old = self._objects.get(meta.key)
        if old is None:
            self._set(meta.key, item)
            return [Change(None, item)]
        if not newer(meta.resource_version, old.metadata.resource_version):
            return []
        if old.metadata.uid != meta.uid:
            self._bury(old.metadata.uid, _FOR_GOOD)
            self._set(meta.key, item)
            return [Change(old, None), Change(None, item)]
        self._set(meta.key, item)
        return [Change(old, item)]

    def delete(self, key: Key, uid: str, resource_version: str = _FOR_GOOD) -> list[Change[T]]:
        """Take note that the object of that key and uid vanished at `resource_version`; without one, for good.

        A later state than that which is already held stays: the object has come back into the selection since.
        """
        old = self._objects.get(key)
        held = old is not None and old.metadata.uid == uid
        if old is not None and held and _later(old.metadata.resource_version, resource_version):
            return []
        self._bury(uid, resource_version)
        if old is None or not held:
            return []
        self._unset(key)
        return [Change(old, None)]

    def replace(
        self, items: Iterable[T], resource_version: str, *, namespace: str = "", rewound: bool = False
    ) -> list[Change[T]]:
        """Make the cache (or its part of one namespace) equal to a list taken at `resource_version`.

        What was written by ourselves after the list was taken is kept: the watch that follows the list brings it.
        With `rewound` the list is believed whatever is held: the API server's own history went back, as it does
        when etcd is restored from a backup.
        """
        listed = {item.metadata.key: item for item in items}
        if rewound:
            return self._rewind(listed, namespace)
        changes: list[Change[T]] = []
        for key, held in list(self._objects.items()):
            if (namespace and key.namespace != namespace) or key in listed:
                continue
            changes += self.delete(key, held.metadata.uid, resource_version or _FOR_GOOD)
        for item in listed.values():
            changes += self.put(item)
        return changes

    def _rewind(self, listed: dict[Key, T], namespace: str) -> list[Change[T]]:
        changes: list[Change[T]] = []
        self._gone.clear()
        for key in [key for key in self._objects if not namespace or key.namespace == namespace]:
            held, item = self._objects[key], listed.get(key)
            if item is None or item.metadata.uid != held.metadata.uid:
                self._unset(key)
                changes.append(Change(held, None))
        for key, item in listed.items():
            before = self._objects.get(key)
            if before is None or before.metadata.resource_version != item.metadata.resource_version:
                self._set(key, item)
                changes.append(Change(before, item))
        return changes

    def drop(self, namespace: str) -> list[Change[T]]:
        """Forget all objects of one namespace that is no longer followed (they may well exist)."""
        changes = []
        for key in [key for key in self._objects if key.namespace == namespace]:
            changes.append(Change(self._objects[key], None))
            self._unset(key)
        return changes

    def _bury(self, uid: str, resource_version: str) -> None:
        if (known := self._gone.get(uid)) is None or newer(resource_version, known):
            self._gone[uid] = resource_version
        self._gone.move_to_end(uid)
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)

    def _set(self, key: Key, item: T) -> None:
        self._unset(key)
        self._objects[key] = item
        for name, indexer in self._indexers.items():
            for value in _values(name, indexer, item):
                self._indexes[name].setdefault(value, set()).add(key)

    def _unset(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            for value in _values(name, indexer, old):
                keys = index.get(value)
                if keys is not None:
                    keys.discard(key)
                    if not keys:
                        del index[value]


def _later(resource_version: str, than: str) -> bool:
    """Whether it is certain that one resourceVersion is later; where it is not, a deletion is believed."""
    return resource_version.isdecimal() and than.isdecimal() and int(resource_version) > int(than)


def _values(name: str, indexer: Indexer[T], item: T) -> tuple[str, ...]:
    """The indexer's values; none for an object that it cannot read, so that one never keeps the rest out."""
    try:
        return tuple(indexer(item))
    except Exception:
        log.exception("object not indexed", index=name, object=str(item.metadata.key))
        return ()
