"""The metrics of host configs and applications: what their statuses say, as series of bounded number."""

from __future__ import annotations

import base64
from typing import Any

from prometheus_client import CollectorRegistry

from support.lattice.jwt import Account
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.store import Store
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.shared.object_metrics import ObjectMetrics, register_process
from wasmcloud_operator.shared.pools import Pools

SINCE = "2026-03-01T12:00:00Z"


def store(*items: CustomResource) -> Store[CustomResource]:
    filled: Store[CustomResource] = Store()
    for item in items:
        filled.put(item)
    return filled


def resource(name: str, spec: Any = None, status: Any = None) -> CustomResource:
    return CustomResource(ObjectMeta(name=name, namespace="team-a", uid=name, resource_version="1"), spec, status)


def value(metrics: ObjectMetrics, family: str, /, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry.get_sample_value(f"wasmcloud_operator_{family}", labels)


def test_a_pools_hosts_are_counted_by_what_they_have_reached() -> None:
    status = {"replicas": 4, "readyReplicas": 3, "hostCount": 2}
    pools = store(
        resource("edge", {"lattice": "x", "hostReplicas": 5}, status),
        resource("nodes", {"lattice": "x", "schedulingOptions": {"daemonset": True}}, status),
        resource("young", {"lattice": "x"}),
    )
    metrics = ObjectMetrics(pools)
    edge = {"namespace": "team-a", "name": "edge", "lattice": "x"}
    assert value(metrics, "pool_hosts", **edge, state="desired") == 5
    assert value(metrics, "pool_hosts", **edge, state="ready") == 3
    assert value(metrics, "pool_hosts", **edge, state="in_lattice") == 2
    assert value(metrics, "pool_hosts", **edge | {"name": "nodes"}, state="desired") == 4
    assert value(metrics, "pool_hosts", **edge | {"name": "young"}, state="desired") == 1
    assert value(metrics, "pool_hosts", **edge | {"name": "young"}, state="ready") is None


def test_a_condition_is_shown_with_its_time_and_an_unknown_one_without_a_value() -> None:
    conditions = [
        {"type": "LatticeConnected", "status": "False", "lastTransitionTime": SINCE},
        {"type": "Ready", "status": "Unknown", "lastTransitionTime": SINCE},
        {"type": "Stalled", "status": "True", "lastTransitionTime": "then"},
        "not a condition",
    ]
    metrics = ObjectMetrics(store(resource("edge", {"lattice": "x"}, {"conditions": conditions})))
    edge = {"namespace": "team-a", "name": "edge", "lattice": "x"}
    assert value(metrics, "pool_condition", **edge, condition="LatticeConnected") == 0
    assert value(metrics, "pool_condition", **edge, condition="Stalled") == 1
    assert value(metrics, "pool_condition", **edge, condition="Ready") is None
    since = "pool_condition_since_timestamp_seconds"
    assert value(metrics, since, **edge, condition="LatticeConnected") == 1772366400
    assert value(metrics, since, **edge, condition="Stalled") is None


def test_hosts_are_counted_by_version_over_all_pools_of_a_lattice() -> None:
    pools = store(
        resource("a", {"lattice": "x"}, {"hosts": [{"version": "1.9.0"}, {"version": "1.8.0"}]}),
        resource("b", {"lattice": "x"}, {"hosts": [{"version": "1.9.0"}]}),
    )
    assert value(ObjectMetrics(pools), "hosts", lattice="x", version="1.9.0") == 2
    assert value(ObjectMetrics(pools), "hosts", lattice="x", version="1.8.0") == 1


def test_applications_are_counted_by_phase_and_their_services_by_lattice() -> None:
    served = {"lattice": "x", "phase": "Deployed", "services": [{"readyEndpoints": 2}, {"readyEndpoints": 1}]}
    applications = store(
        resource("one", {}, served),
        resource("two", {}, {"lattice": "x", "phase": "Deployed"}),
        resource("odd", {}, {"lattice": "x", "phase": "Elsewhere"}),
        resource("new", {}),
    )
    metrics = ObjectMetrics(store(), applications)
    assert value(metrics, "applications", lattice="x", phase="Deployed") == 2
    assert value(metrics, "applications", lattice="x", phase="Unknown") == 1
    assert value(metrics, "applications", lattice="", phase="Unknown") == 1
    assert value(metrics, "application_services", lattice="x") == 2
    assert value(metrics, "application_service_endpoints_ready", lattice="x") == 3


async def test_the_end_of_credentials_is_shown_for_each_pool() -> None:
    body = base64.urlsafe_b64encode(b'{"exp": 1800000000}').decode().rstrip("=")
    credentials = Account("A").credentials("u")
    (jwt,) = (line for line in credentials.splitlines() if line.count(".") == 2)
    ending = LatticeRoute(ConnectionSpec(("nats",), credentials.replace(jwt, f"e30.{body}.sig")), "x")
    async with Lattices(gate=AlwaysOpen()) as lattices:
        pools = Pools(lattices)
        pools.declare(Key("team-a", "edge"), "1", ending)
        pools.declare(Key("team-a", "open"), "2", LatticeRoute(ConnectionSpec(("nats://other",)), "y"))
        metrics = ObjectMetrics(store(), pools=pools.all)
        name = "credentials_expiry_timestamp_seconds"
        assert value(metrics, name, namespace="team-a", name="edge", lattice="x") == 1_800_000_000
        assert value(metrics, name, namespace="team-a", name="open", lattice="y") is None


def test_the_process_shows_its_version_memory_and_collections() -> None:
    registry = CollectorRegistry()
    register_process(registry, "1.2.3")
    names = {family.name for family in registry.collect()}
    assert {"wasmcloud_operator_build", "process_resident_memory_bytes", "python_gc_collections"} <= names
    (info,) = (family for family in registry.collect() if family.name == "wasmcloud_operator_build")
    assert info.samples[0].labels["version"] == "1.2.3"
