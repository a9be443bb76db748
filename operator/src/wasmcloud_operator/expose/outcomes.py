"""What became of an application's Services in a namespace: the reconciler writes it, the status is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.shared.problem import Problem


class State(Enum):
    """How a Service that is wanted does."""

    LEADS = auto()
    KEPT = auto()
    """It is as it was: what it is to lead to is not deployed, or cannot be read."""

    MISSING = auto()
    """There is none: something stands against it."""

    SET_BACK = auto()
    """Somebody else sets it back: where it leads is theirs to know."""

    IN_THE_WAY = auto()
    """There is none of ours: an object of somebody else has its name."""


@dataclass(frozen=True, slots=True)
class Made:
    """A Service that is wanted, by which addresses it is reached inside the cluster, and what stands against it.

    `home` is the namespace of the Application that it is for; empty where there is none.
    """

    name: str
    state: State
    urls: tuple[str, ...] = ()
    home: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the Services of all applications of a name in one namespace: each lattice may have one."""

    services: tuple[Made, ...] = ()
    failures: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys([*self.failures, *(each for one in self.services for each in one.problems)]))

    def of(self, home: str) -> Outcome:
        """Returns what concerns the Application of one namespace."""
        return replace(self, services=tuple(one for one in self.services if one.home == home))


@dataclass(slots=True)
class Outcomes:
    """The outcomes by (namespace, application); `on_change` is called for each outcome that is new."""

    on_change: Callable[[Key], None]
    _held: dict[Key, Outcome] = field(default_factory=dict)

    def get(self, key: Key) -> Outcome | None:
        """The outcome; None before the first reconcile."""
        return self._held.get(key)

    def put(self, key: Key, outcome: Outcome) -> None:
        """Take note of an outcome."""
        if self._held.get(key) != outcome:
            self._held[key] = outcome
            self.on_change(key)

    def drop(self, key: Key) -> None:
        """There is nothing of that application in that namespace any more."""
        if self._held.pop(key, None) is not None:
            self.on_change(key)
