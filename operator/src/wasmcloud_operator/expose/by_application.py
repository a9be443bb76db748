"""Our objects of one kind by the application that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.plan import Claim, claim_of
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.lattice.indexed import Traits


def leads_to_application(metadata: ObjectMeta) -> bool:
    """Whether it is an object of this package: other objects of the operator have other components."""
    return metadata.labels.get(naming.COMPONENT_LABEL) == naming.HTTP_COMPONENT


def application_of(metadata: ObjectMeta) -> str:
    """The application that an object of this package leads to; "" for any other object."""
    return metadata.annotations.get(naming.APPLICATION, "") if leads_to_application(metadata) else ""


class ByApplication:
    """An index over an informer whose own indexes are not ours to choose. Keys are (namespace, application)."""

    def __init__(
        self, informer: Informer[Unstructured], on_change: Callable[[Key, Change[Unstructured], bool], None]
    ) -> None:
        self._informer = informer
        self._listener = on_change
        self._names: dict[Key, set[str]] = {}
        self._applications: dict[str, set[str]] = {}  # of the keys of `_names`, by namespace
        self.claims: dict[Key, Claim] = {}  # the objects' own, read once: every look at a pod asks for all of them
        self._made_for: Traits[Key, Key] = Traits()  # the objects by the Application that they were made for
        informer.on_change(self._on_change)

    def __repr__(self) -> str:
        return f"<ByApplication {self._informer.name} of {len(self._names)} applications>"

    def of(self, key: Key) -> list[Unstructured]:
        """The objects that lead to an application, in one namespace."""
        return [item for item, _ in self.claimed(key)]

    def claimed(self, key: Key) -> Iterator[tuple[Unstructured, Claim]]:
        """The objects that lead to an application, in one namespace, each with its own claim."""
        for name in sorted(self._names.get(key, ())):
            own = Key(key.namespace, name)
            item = self._informer.store.get(own)
            if item is not None:
                yield item, self.claims[own]

    def namespaces(self, owner: Key) -> set[str]:
        """The namespaces that have an object which was made for an Application, by its key."""
        return {key.namespace for key in self._made_for.having(owner)}

    def applications(self, namespace: str) -> set[str]:
        """The applications that have an object in a namespace."""
        return set(self._applications.get(namespace, ()))

    def _on_change(self, change: Change[Unstructured], listed: bool) -> None:
        before = application_of(change.old.metadata) if change.old is not None else ""
        now = application_of(change.new.metadata) if change.new is not None else ""
        namespace, name = change.key
        if before and before != now:
            key = Key(namespace, before)
            held = self._names[key]
            held.discard(name)
            if not held:
                del self._names[key]
                self._applications[namespace].discard(before)
                if not self._applications[namespace]:
                    del self._applications[namespace]
        if now:
            self._names.setdefault(Key(namespace, now), set()).add(name)
            self._applications.setdefault(namespace, set()).add(now)
            assert change.new is not None
            self.claims[change.key] = claim_of(change.new.metadata)
        else:
            self.claims.pop(change.key, None)
        home = change.new.metadata.annotations.get(naming.APPLICATION_NAMESPACE, "") if change.new is not None else ""
        self._made_for.put(change.key, (Key(home, now),) if home and now else ())
        for application in {before, now} - {""}:
            self._listener(Key(namespace, application), change, listed)
