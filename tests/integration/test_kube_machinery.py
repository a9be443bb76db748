"""The machinery on a real API server: what it lists, watches, reports and asks."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from support.kube.live import KubeLive, allow, config_map, live_now, names
from testbed import Admin, ControlPlane, eventually
from testbed.controlplane import APISERVER
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.kube.access import Permission, missing_permissions, server_version, serves
from wasmcloud_operator.kube.codec import UNSTRUCTURED, Codec
from wasmcloud_operator.kube.errors import NotFound, Unauthorized
from wasmcloud_operator.kube.events import EventRecorder
from wasmcloud_operator.kube.objects import CustomResource, Metadata
from wasmcloud_operator.kube.resources import CONFIG_MAP, NODE, SECRET, Key, Resource


async def test_lists_are_streamed_and_edits_follow(live: KubeLive, admin: Admin, namespace: str):
    await admin.create(config_map("a", namespace, huge="x" * 900_000))
    informer = live.informer(namespaces=(namespace,))
    await live_now(informer)
    assert names(informer, namespace) == {"a"}
    await admin.create(config_map("b", namespace))
    await admin.delete("v1/ConfigMap", "a", namespace)
    await eventually(lambda: names(informer, namespace) == {"b"})
    await admin.create(config_map("a", namespace))
    await eventually(lambda: names(informer, namespace) == {"a", "b"})
    assert live.deletes("a") == 1
    # One request for the list and the watch; servers that do not stream lists refuse it, then there is one for each.
    assert live.requests() == (3 if APISERVER == "kube-apiserver-1.29" else 1)


async def test_a_list_in_pages_is_the_whole(live: KubeLive, admin: Admin, namespace: str):
    async with admin:
        await asyncio.gather(*(admin.create(config_map(f"c{n:03}", namespace)) for n in range(25)))
    source = live.informer(namespaces=(namespace,))._source(namespace)
    listed = await live.client.list_all(CONFIG_MAP, UNSTRUCTURED, namespace=namespace)
    assert len({item.metadata.name for item in listed} - {"kube-root-ca.crt"}) == 25
    page = await live.client.list_page(CONFIG_MAP, UNSTRUCTURED, namespace=namespace, query=[("limit", "10")])
    assert len(page.items) == 10
    second = await source.page(page.continue_token)
    assert not {i.metadata.name for i in page.items} & {i.metadata.name for i in second.items}


async def test_rights_taken_away_and_given_back(control_plane: ControlPlane, admin: Admin, namespace: str):
    await allow(admin, "alice", namespace)
    async with KubeLive.open(control_plane.kubeconfig_for(control_plane.user("alice"))) as live:
        informer = live.informer(namespaces=(namespace,), idle=1.5)
        await eventually(lambda: informer.synced)
        await admin.delete("rbac.authorization.k8s.io/v1/RoleBinding", "alice", namespace)
        await eventually(lambda: "403 Forbidden" in informer.problem and "configmaps" in informer.problem)
        await admin.create(config_map("meanwhile", namespace))
        await allow(admin, "alice", namespace)
        await eventually(lambda: names(informer, namespace) == {"meanwhile"} and not informer.problem)


async def test_namespaces_with_roles_alone(control_plane: ControlPlane, admin: Admin, namespace: str):
    """The watch-namespaces mode: namespaced requests only, and namespaces that come and go."""
    other = f"{namespace}-other"
    await admin.create_namespace(other)
    for name in (namespace, other):
        await allow(admin, "bob", name)
        await admin.create(config_map(f"in-{name}", name))
    async with KubeLive.open(control_plane.kubeconfig_for(control_plane.user("bob"))) as live:
        informer = live.informer(namespaces=(namespace,))
        await live_now(informer)
        assert names(informer, namespace) == {f"in-{namespace}"}
        informer.follow((namespace, other))
        assert not informer.synced
        await live_now(informer)
        assert names(informer, other) == {f"in-{other}"}
        informer.follow((other,))
        await eventually(lambda: not names(informer, namespace))
        await live_now(informer)
        assert names(informer, other) == {f"in-{other}"}
        assert live.deletes(f"in-{namespace}") == 1
        cluster_wide = live.informer()
        await eventually(lambda: "403" in cluster_wide.problem)
        assert not cluster_wide.synced
    await admin.delete("v1/Namespace", other)


async def test_a_crd_deleted_and_recreated(live: KubeLive, admin: Admin, namespace: str):
    plural = f"gadgets{secrets.token_hex(3)}"
    resource = Resource("kube.example.com", "v1", plural.capitalize(), plural)
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kube.example.com"},
        "spec": {
            "group": "kube.example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural, "kind": resource.kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    informer = live.informer(resource, Codec.of(CustomResource))
    await eventually(lambda: "404" in informer.problem and plural in informer.problem)

    async def create(name: str) -> None:
        metadata = {"name": name, "namespace": namespace}
        await live.client.create(
            resource,
            {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": {"n": 1}},
            namespace=namespace,
        )

    async def created(name: str) -> bool:
        await create(name)
        return True

    await admin.create(crd)
    await eventually(lambda: created("one"), message="the kind is served")
    await eventually(lambda: names(informer, namespace) == {"one"} and not informer.problem)
    await admin.delete("apiextensions.k8s.io/v1/CustomResourceDefinition", crd["metadata"]["name"])
    await eventually(lambda: "404" in informer.problem)
    await admin.wait_for(
        "apiextensions.k8s.io/v1/CustomResourceDefinition", crd["metadata"]["name"], None, lambda obj: obj is None
    )
    await admin.create(crd)
    await eventually(lambda: created("two"), message="the kind is served again")
    await eventually(lambda: names(informer, namespace) == {"two"} and not informer.problem)
    assert live.deletes("one") == 1
    await admin.delete("apiextensions.k8s.io/v1/CustomResourceDefinition", crd["metadata"]["name"])


async def test_a_rotated_token_is_read_again(control_plane: ControlPlane, admin: Admin, namespace: str, tmp_path: Path):
    await allow(admin, "carol", namespace)
    token = tmp_path / "token"
    token.write_text("not-yet-valid")
    config = json.loads(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    await admin.create(config_map("one", namespace))
    async with KubeLive.open(path) as live:
        informer = live.informer(namespaces=(namespace,))
        with pytest.raises(Unauthorized):
            await live.client.get(CONFIG_MAP, Key(namespace, "one"))
        await eventually(lambda: "401" in informer.problem)
        token.write_text(control_plane.user("carol").token)
        await live_now(informer)
        assert (await live.client.get(CONFIG_MAP, Key(namespace, "one"))).metadata.name


async def test_a_metadata_only_watch_holds_no_values(live: KubeLive, admin: Admin, namespace: str):
    def secret(name: str) -> dict:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "hunter2"}}

    await admin.create(secret("first"))
    informer = live.informer(SECRET, namespaces=(namespace,), metadata_only=True)
    typed = live.informer(SECRET, Codec.of(Metadata), namespaces=(namespace,), metadata_only=True)
    await live_now(informer)
    await live_now(typed)
    await admin.create(secret("second"))
    await eventually(lambda: names(informer, namespace) == names(typed, namespace) == {"first", "second"})
    for item in informer.store:
        assert item.body["kind"] == "PartialObjectMetadata"
        assert "data" not in item.body
        assert "managedFields" not in item.body["metadata"]
    page = await live.client.list_page(SECRET, UNSTRUCTURED, namespace=namespace, metadata_only=True)
    assert all("data" not in item.body for item in page.items)


async def test_an_object_that_leaves_the_selection_and_comes_back(live: KubeLive, admin: Admin, namespace: str):
    body = config_map("a", namespace)
    body["metadata"]["labels"] = {"in": "yes"}
    await admin.create(body)
    informer = live.informer(namespaces=(namespace,), label_selector="in=yes")
    await live_now(informer)
    for _ in range(2):
        await admin.patch("v1/ConfigMap", "a", namespace, {"metadata": {"labels": {"in": None}}})
        await eventually(lambda: not names(informer, namespace))
        await admin.patch("v1/ConfigMap", "a", namespace, {"metadata": {"labels": {"in": "yes"}}})
        await eventually(lambda: names(informer, namespace) == {"a"})


async def test_events_become_a_series(live: KubeLive, admin: Admin, namespace: str):
    recorder = EventRecorder(
        live.client, controller="example.com/tests", instance="pod-1", clock=SYSTEM_CLOCK, metrics=live.metrics
    )
    live.start(recorder.run())
    created = await admin.create(config_map("subject", namespace))
    about = UNSTRUCTURED.item(json.dumps(created).encode()).metadata

    async def found() -> list[dict]:
        return await admin.list("events.k8s.io/v1/Event", namespace, fields="regarding.name=subject")

    recorder.event(CONFIG_MAP, about, "Warning", "Broken", "it broke " + "ü" * 2000, action="Reconcile")
    await eventually(found)
    for _ in range(9):
        recorder.event(CONFIG_MAP, about, "Warning", "Broken", "it broke " + "ü" * 2000, action="Reconcile")
    (event,) = await eventually(lambda: with_series(found))
    assert event["series"]["count"] >= 2
    assert event["regarding"]["uid"] == about.uid
    assert event["reportingController"] == "example.com/tests"
    core = await admin.list("v1/Event", namespace, fields="involvedObject.name=subject")
    assert core[0]["reason"] == "Broken"


async def with_series(found) -> list[dict]:
    return [event for event in await found() if event.get("series")]


async def test_version_kinds_and_permissions_of_the_cluster_are_found(
    control_plane: ControlPlane, live: KubeLive, namespace: str
):
    version = await server_version(live.client)
    assert (version.major, version.minor) >= (1, 29)
    assert version.text.startswith("v1.")
    assert await serves(live.client, CONFIG_MAP)
    assert not await serves(live.client, Resource("none.example.com", "v1", "None", "nones"))
    assert not await serves(live.client, Resource("", "v1", "None", "nones"))
    wanted = [Permission("list", CONFIG_MAP, namespace=namespace), Permission("delete", NODE)]
    assert await missing_permissions(live.client, wanted) == []
    async with KubeLive.open(control_plane.kubeconfig_for(control_plane.user("erin"))) as erin:
        assert await missing_permissions(erin.client, wanted) == wanted


async def test_a_missing_object_is_named(live: KubeLive, namespace: str):
    with pytest.raises(NotFound, match="none"):
        await live.client.get(CONFIG_MAP, Key(namespace, "none"))
