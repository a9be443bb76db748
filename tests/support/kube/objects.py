"""Small objects for the tests of the machinery."""

from __future__ import annotations

from wasmcloud_operator.kube.objects import Metadata, ObjectMeta
from wasmcloud_operator.kube.resources import Key, Resource

WIDGET = Resource("tests.example.com", "v1", "Widget", "widgets")


def widget(name: str, *, namespace: str = "ns", uid: str | None = None, **fields: object) -> dict[str, object]:
    """The body of a widget; fields other than `labels` and `annotations` go into its spec."""
    metadata: dict[str, object] = {"name": name, "namespace": namespace}
    if uid is not None:
        metadata["uid"] = uid
    for part in ("labels", "annotations"):
        if part in fields:
            metadata[part] = fields.pop(part)
    return {"apiVersion": WIDGET.api_version, "kind": WIDGET.kind, "metadata": metadata, "spec": fields}


def item(name: str, version: int | str, *, uid: str = "", namespace: str = "ns", **labels: str) -> Metadata:
    """A cached object of which only the metadata counts."""
    meta = ObjectMeta(
        name=name, namespace=namespace, uid=uid or f"uid-{name}", resource_version=str(version), labels=labels
    )
    return Metadata(meta)


def key(name: str, namespace: str = "ns") -> Key:
    return Key(namespace, name)
