"""Dictionaries that also find the keys of a value: what holds thousands is not to be walked at each piece of news."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Traits(Generic[K, V]):
    """Keys by each of their traits, in the order in which they got it."""

    def __init__(self) -> None:
        self._traits: dict[K, frozenset[V]] = {}
        self._keys: dict[V, dict[K, None]] = {}  # invariant: the inverse of `_traits`

    def __repr__(self) -> str:
        return f"<Traits of {len(self._traits)} keys>"

    def of(self, key: K) -> frozenset[V]:
        """Returns the traits of a key."""
        return self._traits.get(key, frozenset())

    def put(self, key: K, traits: Iterable[V]) -> None:
        """The key has exactly these traits from now on."""
        before, now = self._traits.pop(key, frozenset[V]()), frozenset(traits)
        if now:
            self._traits[key] = now
        for trait in before - now:
            del self._keys[trait][key]
            if not self._keys[trait]:
                del self._keys[trait]
        for trait in now - before:
            self._keys.setdefault(trait, {})[key] = None

    def drop(self, key: K) -> None:
        """The key has no trait any more."""
        self.put(key, ())

    def having(self, trait: V) -> tuple[K, ...]:
        """The keys with a trait."""
        return tuple(self._keys.get(trait, ()))

    def any_has(self, trait: V) -> bool:
        """Whether a key has that trait."""
        return trait in self._keys


class Grouped(Generic[K, V]):
    """A dictionary whose keys are found by their values, too."""

    def __init__(self) -> None:
        self._values: dict[K, V] = {}
        self._by_value: Traits[K, V] = Traits()

    def __repr__(self) -> str:
        return f"<Grouped {self._values}>"

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def get(self, key: K) -> V | None:
        """The value of a key."""
        return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """The key has this value from now on."""
        self._values[key] = value
        self._by_value.put(key, (value,))

    def pop(self, key: K) -> V | None:
        """Forget the key; returns the value that it had."""
        self._by_value.drop(key)
        return self._values.pop(key, None)

    def keys_of(self, value: V) -> tuple[K, ...]:
        """The keys with a value."""
        return self._by_value.having(value)

    def has(self, value: V) -> bool:
        """Whether a key has that value."""
        return self._by_value.any_has(value)
