"""The applier on a real API server: what is made, kept, put right, and refused."""

from __future__ import annotations

import pytest

from support.kube.live import KubeLive, config_map, live_now
from testbed import Admin, ControlPlane, eventually
from wasmcloud_operator.kube.apply import Applier, ForeignObject, ManagedKind
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.errors import Conflict
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key


async def test_an_apply_keeps_every_character(live: KubeLive, namespace: str):
    """Its body is read as YAML, which knows more ends of lines than JSON, and refuses some characters."""
    texts = {
        "lines": "a\u0085b\u2028c\u2029d\re\nf",
        "refused": "\x01\x08\x0c\x1f\x7f\x80\x9f\ufeff\ufffe\uffff",
        "wide": "… é 🌍",
        "yaml": '- {a: [b]} # &c *d !e %f @g `h "i\\',
        "plain": "x" * 2000,
        "delete": "a\x7fb",
    }
    for name, text in texts.items():
        made = await live.client.apply(CONFIG_MAP, config_map(name, namespace, text=text), UNSTRUCTURED)
        assert made.body["data"] == {"text": text}, name


class Applying:
    def __init__(self, live: KubeLive, namespace: str) -> None:
        self.kind = ManagedKind(CONFIG_MAP, live.informer(namespaces=(namespace,), label_selector="owner=us"))
        self.applier = Applier(live.client, "kube.example.com/rendered")
        self.namespace = namespace

    async def __call__(self, **data: str):
        body = config_map("c", self.namespace, **data)
        body["metadata"]["labels"] = {"owner": "us"}
        return await self.applier.apply(self.kind, body, lambda meta: meta.labels.get("owner") == "us")


async def test_server_side_apply(live: KubeLive, admin: Admin, control_plane: ControlPlane, namespace: str):
    apply = Applying(live, namespace)
    await live_now(apply.kind.informer)
    assert (await apply(a="1", b="2")).outcome == "created"
    assert (await apply(a="1", b="2")).outcome == "unchanged"
    # Fields of others stay, ours that we stop sending go.
    await admin.patch("v1/ConfigMap", "c", namespace, {"data": {"theirs": "x"}})
    assert (await apply(a="1")).outcome == "changed"
    assert (await admin.get("v1/ConfigMap", "c", namespace))["data"] == {"a": "1", "theirs": "x"}
    # Drift is put right by force.
    await admin.patch("v1/ConfigMap", "c", namespace, {"data": {"a": "tampered"}})
    await eventually(lambda: apply.kind.informer.store.get(Key(namespace, "c")).body["data"]["a"] == "tampered")
    assert (await apply(a="1")).outcome == "changed"
    # A settled object costs no request.
    before = live.requests()
    assert [(await apply(a="1")).outcome for _ in range(10)] == ["unchanged"] * 10
    assert live.requests() == before


async def test_apply_never_makes_a_ghost_of_a_vanished_object(live: KubeLive, admin: Admin, namespace: str):
    apply = Applying(live, namespace)
    await live_now(apply.kind.informer)
    first = (await apply(a="1")).item
    await admin.delete("v1/ConfigMap", "c", namespace)
    body = config_map("c", namespace, a="2")
    body["metadata"]["uid"] = first.metadata.uid
    with pytest.raises(Conflict):  # what the applier relies on
        await live.client.apply(CONFIG_MAP, body, UNSTRUCTURED)
    assert await admin.find("v1/ConfigMap", "c", namespace) is None
    again = await apply(a="2")
    assert again.item.metadata.uid != first.metadata.uid
    with pytest.raises(Conflict):
        await live.client.apply(CONFIG_MAP, body, UNSTRUCTURED)
    with pytest.raises(Conflict):
        await live.client.delete(CONFIG_MAP, Key(namespace, "c"), uid=first.metadata.uid)
    assert await apply.applier.delete(apply.kind, again.item, lambda _: True)
    assert await admin.find("v1/ConfigMap", "c", namespace) is None


async def test_apply_leaves_a_strangers_object_alone(live: KubeLive, admin: Admin, namespace: str):
    apply = Applying(live, namespace)
    await live_now(apply.kind.informer)
    before = await admin.create(config_map("c", namespace, theirs="1"))
    with pytest.raises(ForeignObject):
        await apply(a="1")
    assert await admin.get("v1/ConfigMap", "c", namespace) == before
