"""Problems with the Services of applications that came over NATS, and have no Application to show them.

Filled by the reconciler of Services, shown by the host configs whose hosts serve the application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.shared.problem import Problem


@dataclass(slots=True)
class UnownedProblems:
    """The problems by (namespace, application). Listeners hear the namespaces and must only enqueue."""

    # By namespace and application; invariant: no part is empty.
    _held: dict[str, dict[str, tuple[tuple[Lattice, Problem], ...]]] = field(default_factory=dict)
    _listeners: list[Callable[[str], None]] = field(default_factory=list)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call the listener with each namespace whose problems have changed."""
        self._listeners.append(listener)

    def put(self, key: Key, problems: Iterable[tuple[Lattice, Problem]]) -> None:
        """Take note of all problems of an application in a namespace, by lattice."""
        found, here = tuple(problems), self._held.setdefault(key.namespace, {})
        before = here.pop(key.name, ())
        if found:
            here[key.name] = found
        if not here:
            del self._held[key.namespace]
        if found == before:
            return
        for listener in self._listeners:
            listener(key.namespace)

    def of(self, namespace: str, lattice: Lattice) -> list[Problem]:
        """Returns the problems in a namespace of what runs in a lattice, by application."""
        here = self._held.get(namespace, {})
        return [problem for name in sorted(here) for where, problem in here[name] if where is lattice]
