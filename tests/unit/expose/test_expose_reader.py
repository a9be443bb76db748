"""Whose a deployed manifest is: by the uid of its Application, also after the cluster's id has changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wasmcloud_operator.expose.reader import ManifestReader
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.content import OWNER_CLUSTER, OWNER_NAME, OWNER_NAMESPACE, OWNER_UID

SHOP = Key("here", "shop")


@pytest.mark.parametrize(
    ("cluster", "uid", "owner"),
    [
        pytest.param("ours", "uid-1", SHOP, id="ours"),
        pytest.param("ours", "uid-gone", SHOP, id="of an Application that is gone"),
        pytest.param("before", "uid-1", SHOP, id="put under another id of this cluster"),
        pytest.param("theirs", "uid-2", None, id="of another cluster, with an Application of that name"),
        pytest.param("theirs", "", None, id="of another cluster, put before owners had a uid"),
    ],
)
async def test_an_owner_is_recognised_by_its_uid(cluster: str, uid: str, owner: Key | None) -> None:
    item = CustomResource(ObjectMeta(SHOP.name, SHOP.namespace, "uid-1", "1", 1))
    reader = ManifestReader("ours", SimpleNamespace(store={SHOP: item}))
    annotations = {OWNER_CLUSTER: cluster, OWNER_NAMESPACE: "here", OWNER_NAME: "shop", OWNER_UID: uid}
    manifest: dict[str, Any] = {"metadata": {"name": "shop", "annotations": annotations}, "spec": {"components": []}}
    record = await reader.record(None, "shop", "v1", manifest)
    assert record.owner == owner


async def test_a_manifest_without_an_owner_has_none() -> None:
    manifest: dict[str, Any] = {"metadata": {"name": "shop", "annotations": {}}, "spec": {"components": []}}
    assert (await ManifestReader("ours").record(None, "shop", "v1", manifest)).owner is None
