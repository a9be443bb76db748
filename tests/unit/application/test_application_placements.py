"""Where an Application runs, as its status shows it: bounded, in a stable order, and by the manifest's own names."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace
from typing import Any

from wasmcloud_operator.application.placements import MOST_SHOWN, HostsByApplication, deciding, placements
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Pod
from wasmcloud_operator.lattice.host_types import Host, InventoryChange, Provider, RunningComponent
from wasmcloud_operator_types import POD_UID_LABEL


def meta(name: str, namespace: str = "team-a") -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, uid=name, resource_version="1")


def shop(*components: dict[str, Any]) -> CustomResource:
    return CustomResource(meta("shop"), {"components": list(components)}, {})


def host(name: str, **about: Any) -> Host:
    return Host(id=name, last_seen=0.0, **about)


def pod_of(uid: str) -> Pod | None:
    return Pod(meta(f"pod-{uid}", "pools")) if uid else None


def test_components_have_the_manifests_names_and_the_pods_of_their_hosts() -> None:
    item = shop({"name": "Web"}, {"name": "http", "properties": {"id": "front"}})
    provider = Provider("front", annotations={"wasmcloud.dev/appspec": "shop"})
    hosts = [
        host("N2", components={"shop-web": RunningComponent("shop", 3), "news-web": RunningComponent("news")}),
        host("N1", components={"shop-old": RunningComponent("shop")}, providers={"front": provider},
             labels={POD_UID_LABEL: "u"}),
    ]  # fmt: skip
    assert placements(item, hosts, pod_of) == {
        "placementCount": 3,
        "placements": [
            {"component": "Web", "host": "N2", "instances": 3},
            {"component": "http", "host": "N1", "instances": 1, "namespace": "pools", "pod": "pod-u"},
            {"component": "shop-old", "host": "N1", "instances": 1, "namespace": "pools", "pod": "pod-u"},
        ],
    }


def test_a_thousand_hosts_are_counted_and_the_first_are_shown() -> None:
    hosts = [host(f"N{number:04}", components={"shop-web": RunningComponent("shop")}) for number in range(1000)]
    found = placements(shop({"name": "web"}), reversed(hosts), pod_of)
    assert found["placementCount"] == 1000
    assert [entry["host"] for entry in found["placements"]] == [f"N{number:04}" for number in range(MOST_SHOWN)]


def test_a_manifest_that_is_none_leaves_the_ids_of_the_lattice() -> None:
    item = CustomResource(meta("shop"), {"components": [7, {"name": 7}, {"name": "x", "properties": 7}]}, {})
    found = placements(item, [host("N", components={"shop-web": RunningComponent("shop")})], pod_of)
    assert [entry["component"] for entry in found["placements"]] == ["shop-web"]
    assert placements(item, [], pod_of) == {}


def test_only_applications_that_ran_or_run_on_changed_hosts_are_concerned() -> None:
    class Lattice(SimpleNamespace):
        __hash__ = object.__hash__

    lattice: Any = Lattice(hosts=SimpleNamespace(hosts={}))
    index = HostsByApplication()

    def now(**running: tuple[str, ...]) -> set[str]:
        hosts = {
            name: host(name, components={app: RunningComponent(app) for app in apps}) for name, apps in running.items()
        }
        changed = frozenset(hosts.keys() | lattice.hosts.hosts.keys())
        lattice.hosts.hosts = MappingProxyType(hosts)
        return index.take(lattice, InventoryChange(hosts=changed))

    assert now(a=("shop", "news")) == {"shop", "news"}
    assert now(a=("shop",), b=("shop",)) == {"shop", "news"}
    assert [one.id for one in index.hosts(lattice, "shop")] == ["a", "b"]
    assert list(index.hosts(lattice, "news")) == []
    assert now() == {"shop"}
    assert list(index.hosts(lattice, "shop")) == []


def test_only_what_is_deployed_or_still_has_placements_is_looked_at() -> None:
    assert deciding(None) is None
    assert deciding(CustomResource(meta("shop"), {}, {"lattice": "default", "phase": "Reconciling"})) is None
    assert deciding(CustomResource(meta("shop"), {}, {"placements": []})) is not None


def test_a_status_of_others_decides_nothing_about_placements() -> None:
    status = {"lattice": "default", "deployedVersion": "v1", "phase": "Reconciling"}
    before = deciding(CustomResource(meta("shop"), {}, status))
    assert before is not None
    assert deciding(CustomResource(meta("shop"), {}, {**status, "phase": "Deployed"})) == before
    assert deciding(CustomResource(meta("shop"), {}, {**status, "lattice": "other"})) != before
