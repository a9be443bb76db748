"""The screen of `status` and the trees: what is fine, what is not, and what could not be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from support.objects.overview import FINE, WAITING, app, pod, pool
from wasmcloud_operator.commands.overview import doctor, status, tree
from wasmcloud_operator.commands.overview.snapshot import Snapshot
from wasmcloud_operator.kube.lease import LeaseObject, LeaseSpec
from wasmcloud_operator.kube.objects import ObjectMeta

SERVED = [{"namespace": "team-a", "name": "shop", "readyEndpoints": 1, "urls": ["http://shop.team-a.svc:8000"]}]
CONNECTED = {**FINE, "LatticeConnected": ("True", "Connected", "")}


def shown(found: status.StatusReport) -> str:
    return "\n".join(line for table in status.tables(found) for line in table.lines())


def test_a_healthy_cluster_is_one_screen_and_exit_status_zero() -> None:
    found = status.report(Snapshot((pool(CONNECTED),), (app(FINE, fields={"lattice": "x", "phase": "Deployed"}),)))
    assert found.fine
    assert status.summary(found) == "all is fine"
    text = shown(found)
    assert "team-a/edge" in text
    assert "team-a/shop" in text
    assert [row.nats for row in found.lattices] == ["up"]


def test_faults_are_counted_and_shown_with_their_messages() -> None:
    waiting = app(WAITING, fields={"lattice": "x", "phase": "Reconciling", "message": "waits for hosts"})
    found = status.report(Snapshot((pool(CONNECTED),), (waiting,)))
    assert not found.fine
    assert "1 applications" in status.summary(found)
    assert "waits for hosts" in shown(found)


def test_nothing_is_called_fine_where_something_cannot_be_read() -> None:
    found = status.report(Snapshot(unreadable={"pods": "you have no right to list them"}))
    assert not found.fine
    assert status.notes(found) == [
        "cannot be shown: pods: you have no right to list them",
        "what is fine is not known, since not everything can be read",
    ]


def test_a_lattice_is_down_only_when_no_way_leads_there() -> None:
    lost = {**FINE, "LatticeConnected": ("False", "Refused", "refused")}
    one = status.report(Snapshot((pool(CONNECTED), pool(lost, "other"))))
    assert one.lattices[0].nats == "up"
    none = status.report(Snapshot((pool(lost),)))
    assert none.lattices[0].nats == "down"


def test_a_service_without_endpoints_is_not_fine() -> None:
    empty = [{**SERVED[0], "readyEndpoints": 0}]
    found = status.report(Snapshot((), (app(FINE, fields={"services": empty}),)))
    assert [row.fine for row in found.services] == [False]


def test_unreadable_kinds_are_named_and_never_pass_for_fine() -> None:
    found = status.report(Snapshot(unreadable={"pods": "you have no right to list them"}))
    assert not found.fine
    assert "cannot be shown: pods: you have no right to list them" in status.notes(found)


def test_the_json_has_the_rows_and_the_verdict() -> None:
    found = status.report(Snapshot((pool(CONNECTED),)))
    assert json.loads(json.dumps(found.as_json()))["pools"][0]["name"] == "edge"


def test_the_tree_of_an_application_leads_to_the_pods_that_serve_it() -> None:
    serving = pod("edge-1", conditions=[{"type": "Ready", "status": "True"}], podIP="10.0.0.7")
    serving.metadata.labels["serves.k8s.wasmcloud.dev/shop"] = "true"
    fields = {
        "lattice": "x",
        "phase": "Deployed",
        "services": SERVED,
        "scalers": [
            {"kind": "SpreadScaler", "name": "web", "status": "deployed"},
            {"kind": "LinkScaler", "name": "http -(wasi:http)-> web", "status": "deployed"},
        ],
    }
    spec = {"components": [{"name": "web", "type": "component"}, {"name": "http", "type": "capability"}]}
    lines = list(tree.of_application(app(FINE, spec, fields=fields), Snapshot(pods=(serving,))).lines())
    assert lines[0] == "Application team-a/shop  Deployed  lattice x"
    assert lines[-1].endswith("Pod edge-1  ready  10.0.0.7")
    assert sum("LinkScaler" in line for line in lines) == 2


def placed(component: str, host: str, instances: int = 1, **place: str) -> dict[str, object]:
    return {"component": component, "host": host, "instances": instances, **place}


def test_the_tree_of_an_application_leads_from_components_by_hosts_and_pods_to_nodes() -> None:
    running = pod("edge-1", conditions=[{"type": "Ready", "status": "True"}], podIP="10.0.0.7")
    running.body["spec"]["nodeName"] = "node-b"
    hosts = [{"id": "NA", "friendlyName": "calm-sea-1", "pod": "edge-1", "node": "node-b"}]
    edge = pool(FINE)
    edge.status["hosts"] = hosts
    placements = [
        placed("http", "NA", namespace="team-a", pod="edge-1"),
        placed("old", "NA", namespace="team-a", pod="edge-1"),
        placed("web", "NA", 3, namespace="team-a", pod="edge-1"),
        placed("web", "NB", 2, namespace="elsewhere", pod="edge-9"),
        placed("web", "NC", 2),
    ]
    spec = {"components": [{"name": "web", "type": "component"}, {"name": "http", "type": "capability"}]}
    fields = {"phase": "Deployed", "placements": placements, "placementCount": 60}
    branch = tree.of_application(app(FINE, spec, fields=fields), Snapshot((edge,), pods=(running,)))
    assert list(branch.lines()) == [
        "Application team-a/shop  Deployed",
        "├─ component web",
        "│  ├─ host calm-sea-1  up to 3 instances",
        "│  │  └─ Pod edge-1  ready  on node-b  10.0.0.7",
        "│  ├─ host NB  up to 2 instances",
        "│  │  └─ Pod elsewhere/edge-9",
        "│  └─ host NC  up to 2 instances",
        "├─ capability http",
        "│  └─ host calm-sea-1  1 instance",
        "│     └─ Pod edge-1  ready  on node-b  10.0.0.7",
        "├─ old, no longer in the manifest",
        "│  └─ host calm-sea-1  1 instance",
        "│     └─ Pod edge-1  ready  on node-b  10.0.0.7",
        "└─ on 55 more hosts",
    ]


def test_the_tree_of_a_lattice_holds_its_pools_and_their_pods() -> None:
    lines = list(tree.of_lattice("x", Snapshot((pool(FINE),), (app(FINE),), (pod("edge-1"),))).lines())
    assert lines[0] == "Lattice x"
    assert any("WasmCloudHostConfig team-a/edge" in line for line in lines)
    assert any("Pod edge-1" in line for line in lines)


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def lease(namespace: str, holder: str, renewed: str) -> LeaseObject:
    metadata = ObjectMeta(name="wasmcloud-operator", namespace=namespace, uid=namespace)
    return LeaseObject(metadata, LeaseSpec(holder_identity=holder, renew_time=renewed))


def test_one_fresh_lease_is_one_operator_and_two_are_too_many() -> None:
    fresh, other = lease("a", "one", "2026-01-01T11:59:55Z"), lease("b", "two", "2026-01-01T11:59:58Z")
    stale = lease("c", "three", "2026-01-01T11:00:00Z")
    assert [finding.health for finding in doctor.judge_leases([fresh, stale], NOW)] == [doctor.Health.FINE]
    assert [finding.health for finding in doctor.judge_leases([fresh, other], NOW)] == [doctor.Health.WRONG]
    assert [finding.health for finding in doctor.judge_leases([stale], NOW)] == [doctor.Health.WRONG]
