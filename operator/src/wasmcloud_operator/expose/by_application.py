"""Our objects of one kind by the application that they lead to."""

from __future__ import annotations

from collections.abc import Callable

from wasmcloud_operator.expose import naming
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Change


def leads_to_application(metadata: ObjectMeta) -> bool:
    """Whether it is an object of this package: other objects of the operator have other components."""
    return metadata.labels.get(naming.COMPONENT_LABEL) == naming.HTTP_COMPONENT


def application_of(metadata: ObjectMeta) -> str:
    """The application that an object of this package leads to; "" for any other object."""
    return metadata.annotations.get(naming.APPLICATION, "") if leads_to_application(metadata) else ""


class ByApplication:
    """An index over an informer whose own indexes are not ours to choose. Keys are (namespace, application)."""

    def __init__(
        self, informer: Informer[Unstructured], told: Callable[[Key, Change[Unstructured], bool], None]
    ) -> None:
        self._informer = informer
        self._told = told
        self._names: dict[Key, set[str]] = {}
        informer.on_change(self._on_change)

    def __repr__(self) -> str:
        return f"<ByApplication {self._informer.name} of {len(self._names)} applications>"

    def of(self, key: Key) -> list[Unstructured]:
        """The objects that lead to an application, in one namespace."""
        found = (self._informer.store.get(Key(key.namespace, name)) for name in sorted(self._names.get(key, ())))
        return [item for item in found if item is not None]

    def namespaces(self, application: str) -> set[str]:
        """The namespaces that have an object for an application."""
        return {key.namespace for key in self._names if key.name == application}

    def applications(self, namespace: str) -> set[str]:
        """The applications that have an object in a namespace."""
        return {key.name for key in self._names if key.namespace == namespace}

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
        if now:
            self._names.setdefault(Key(namespace, now), set()).add(name)
        for application in {before, now} - {""}:
            self._told(Key(namespace, application), change, listed)
