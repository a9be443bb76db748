"""Where HTTP servers and what their requests need are placed: by daemonscalers, on hosts with their labels."""

from __future__ import annotations

from typing import Any

import pytest

from support.objects.http_manifest import BUILTIN, IMAGE, defined, link, manifest
from wasmcloud_operator.manifest.http_endpoints import exposure


@pytest.mark.parametrize(
    ("scaler", "spread", "expected"),
    [
        ("daemonscaler", None, {"{}": True, "{'zone': 'a'}": True}),
        ("daemonscaler", [{"name": "s", "requirements": {"zone": "a"}}], {"{}": False, "{'zone': 'a'}": True}),
        ("spreadscaler", None, {"{}": False, "{'zone': 'a'}": False}),
    ],
)
def test_a_daemonscaler_places_its_provider_on_each_host_with_its_labels(
    scaler: str, spread: list[dict[str, Any]] | None, expected: dict[str, bool]
) -> None:
    scaling = {"type": scaler, "properties": {"instances": 1, **({"spread": spread} if spread else {})}}
    server = {
        "name": "httpserver", "type": "capability", "properties": {"image": IMAGE},
        "traits": [link(defined(address="0.0.0.0:8080")), scaling],
    }  # fmt: skip
    manifest = {"metadata": {"name": "app", "annotations": {}}, "spec": {"components": [server]}}
    (provider,) = exposure(manifest).providers
    assert {str(labels): provider.belongs_on(labels) for labels in ({}, {"zone": "a"})} == expected


def component(name: str, *leads_to: object, kind: str = "component", instances: int = 1, **properties: Any) -> Any:
    """A component that goes to each host, linked to others by name or by target."""
    links = [{"type": "link", "properties": {"target": target, "namespace": "x"}} for target in leads_to]
    scaler = {"type": "daemonscaler", "properties": {"instances": instances}}
    return {"name": name, "type": kind, "properties": properties, "traits": [*links, scaler]}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([component("web")], {"hello-web"}, id="the component itself"),
        pytest.param([component("web", {"name": "store"}), component("store")], {"hello-web", "hello-store"},
                     id="what it needs in turn"),
        pytest.param([component("web", "store"), component("store", kind="capability", id="kv")], {"hello-web", "kv"},
                     id="a provider, by an early wadm's target and a declared id"),
        pytest.param([component("web", {"name": "store"}), component("store", {"name": "web"})],
                     {"hello-web", "hello-store"}, id="round in a circle"),
        pytest.param([component("web", {"name": "store"}), component("store", application={"name": "other"})],
                     {"hello-web"}, id="another application's is not followed"),
        pytest.param([component("web", {"name": "nothing"}, {}, 7)], {"hello-web"}, id="links that lead nowhere"),
        pytest.param([component("web"), component("aside")], {"hello-web"}, id="what no link leads to"),
        pytest.param([component("web", instances=0)], set(), id="scaled to nothing"),
        pytest.param([{"name": "web", "type": "component"}], set(), id="no host is promised it"),
    ],
)  # fmt: skip
def test_requests_need_all_that_links_lead_to_as_far_as_daemonscalers_place_it(
    others: list[dict[str, Any]], expected: set[str]
) -> None:
    made = manifest(link(defined(address="0.0.0.0:8080")))
    made["spec"]["components"] = [*others, made["spec"]["components"][1]]
    (provider,) = exposure(made).providers
    assert {needed.id for needed in provider.behind} == expected


def test_the_builtin_server_alone_needs_its_components_on_its_own_host() -> None:
    trait = link(defined(address="0.0.0.0:8080"))
    assert [one.local for one in exposure(manifest(trait)).providers] == [frozenset()]
    assert [one.local for one in exposure(manifest(trait, image=BUILTIN)).providers] == [frozenset({"hello-web"})]
    elsewhere = link(defined(address="0.0.0.0:8080"), target={"name": "not in here"})
    assert [one.local for one in exposure(manifest(elsewhere, image=BUILTIN)).providers] == [frozenset()]
