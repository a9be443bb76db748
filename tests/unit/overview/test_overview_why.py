"""The chain of causes: for each scenario the true cause comes first, with its object, field and command."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from support.objects.overview import FINE, WAITING, Conditions, app, pod, pool, resource, status
from wasmcloud_operator.commands.overview import why
from wasmcloud_operator.commands.overview.snapshot import ListedEndpoint, Snapshot
from wasmcloud_operator.kube.objects import CustomResource, Unstructured
from wasmcloud_operator.kube.resources import Key


def spread(**requirements: str) -> dict[str, Any]:
    trait = {"type": "spreadscaler", "properties": {"instances": 3, "spread": [{"requirements": requirements}]}}
    return {"components": [{"name": "web", "type": "component", "traits": [trait]}]}


CRASHING = {"waiting": {"reason": "CrashLoopBackOff"}}
PULLING = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
FAILED_SCALER = {"kind": "SpreadScaler", "name": "web", "status": "failed", "message": "no image"}


def container(state: dict[str, Any], name: str = "edge-1") -> Unstructured:
    return pod(name, containerStatuses=[{"name": "wasmcloud-host", "state": state}])


def stalled(reason: str, message: str, **fields: Any) -> CustomResource:
    conditions: Conditions = {"Ready": ("False", reason, message), "Stalled": ("True", reason, message)}
    return app(conditions, fields={"lattice": "x", "hostConfig": "edge", **fields})


def with_condition(kind: str, reason: str, message: str) -> CustomResource:
    return pool({**FINE, kind: ("False", reason, message)})


@dataclass(frozen=True)
class Scenario:
    """What is there, and the subject and the words of the first cause."""

    subject: str
    words: str
    application: CustomResource = field(default_factory=lambda: app(WAITING))
    pools: tuple[CustomResource, ...] = field(default_factory=lambda: (pool(FINE),))
    pods: tuple[Unstructured, ...] = ()


PAUSED = {"k8s.wasmcloud.dev/paused": "true"}
SCENARIOS = {
    "paused": Scenario("Application", "paused", app(WAITING, annotations=PAUSED)),
    "deleting": Scenario("Application", "being deleted", app(WAITING, deleting=True)),
    "no host config": Scenario("Namespace team-a", "no host config", app(WAITING, fields={}), ()),
    "two lattices": Scenario(
        "Application",
        "hosts of the lattices x, y",
        app(WAITING, fields={}),
        (pool(FINE), pool(FINE, "other", spec={"lattice": "y"})),
    ),
    "pool paused": Scenario("WasmCloudHostConfig", "paused", pools=(pool(FINE, annotations=PAUSED),)),
    "missing Secret": Scenario(
        "WasmCloudHostConfig", "no Secret", pools=(with_condition("SecretsValid", "SecretMissing", "no Secret creds"),)
    ),
    "wrong hub": Scenario(
        "WasmCloudHostConfig", "refused", pools=(with_condition("LatticeConnected", "Refused", "lattice x: refused"),)
    ),
    "expired credentials": Scenario(
        "WasmCloudHostConfig", "expired", pools=(with_condition("LatticeConnected", "Expired", "creds expired"),)
    ),
    "wadm gone": Scenario(
        "WasmCloudHostConfig", "wadm is away", pools=(with_condition("WadmConnected", "Silent", "wadm is away"),)
    ),
    "image cannot be pulled": Scenario("Pod", "ErrImagePull: not found", pods=(container(PULLING),)),
    "no node": Scenario("Pod", "0/3 nodes", pods=(pod("edge-1", conditions=[UNSCHEDULABLE]),)),
    "crashing": Scenario("Pod", "CrashLoopBackOff", pods=(container(CRASHING),)),
    "no host matches": Scenario("Application", "zone=b", app(WAITING, spread(zone="b"))),
    "wadm failed": Scenario(
        "Application team-a/shop, SpreadScaler web", "no image", stalled("Failed", "failed", scalers=[FAILED_SCALER])
    ),
    "invalid manifest": Scenario("Application", "missing", stalled("InvalidManifest", "spec.components: missing")),
    "name owned elsewhere": Scenario("Application", "team-b/shop", stalled("Conflict", "belongs to team-b/shop")),
    "loopback address": Scenario(
        "Application", "127.0.0.1", app({**FINE, "Exposed": ("False", "Loopback", "127.0.0.1:8080 serves nobody")})
    ),
}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_true_cause_of_an_application_comes_first(name: str) -> None:
    scenario = SCENARIOS[name]
    seen = Snapshot(scenario.pools, (scenario.application,), scenario.pods)
    first = why.of_application(scenario.application, seen)[0]
    assert first.subject.startswith(scenario.subject)
    assert scenario.words in first.text
    assert first.command


def test_an_application_that_is_fine_has_no_cause() -> None:
    application = app(FINE, spread(zone="b"))
    assert why.of_application(application, Snapshot((pool(FINE),), (application,))) == []


def test_a_label_that_one_of_the_pools_has_is_no_cause() -> None:
    application = app(WAITING, spread(zone="b"))
    pools = (pool(FINE), pool(FINE, "other", spec={"hostLabels": {"zone": "b"}}))
    causes = why.of_application(application, Snapshot(pools, (application,)))
    assert [cause.field for cause in causes] == ["condition Ready, Waiting"]


def test_a_label_that_the_hosts_report_of_themselves_is_no_cause() -> None:
    application = app(WAITING, spread(**{"hostcore.os": "linux"}))
    hosts = [{"id": "N", "labels": {"hostcore.os": "linux", "kubernetes": "true"}}]
    edge = replace(pool(FINE), status=status(FINE, hosts=hosts))
    causes = why.of_application(application, Snapshot((edge,), (application,)))
    assert [cause.field for cause in causes] == ["condition Ready, Waiting"]


def test_an_unmet_requirement_of_wadm_comes_before_an_unrelated_pod() -> None:
    conditions: Conditions = {"Ready": ("False", "Failed", "no host"), "Stalled": ("True", "Failed", "no host")}
    fields = {"lattice": "x", "hostConfig": "edge", "scalers": [FAILED_SCALER]}
    application = app(conditions, spread(zone="b"), fields=fields)
    causes = why.of_application(application, Snapshot((pool(FINE),), (application,), (container(CRASHING),)))
    assert ["zone=b" in causes[0].text, "CrashLoopBackOff" in causes[1].text] == [True, True]


@pytest.mark.parametrize("reason", ["Exposed", "Disabled"])
def test_a_service_as_it_was_asked_for_is_no_cause(reason: str) -> None:
    application = app({**FINE, "Exposed": ("False", reason, "the annotation asks for no Service")})
    assert why.of_application(application, Snapshot((pool(FINE),), (application,))) == []


def test_a_service_of_which_a_part_is_missing_is_explained_though_the_rest_is_reached() -> None:
    application = app({**FINE, "Exposed": ("True", "PortConflict", "port 8080 is also wanted by news")})
    (cause,) = why.of_application(application, Snapshot((pool(FINE),), (application,)))
    assert cause.field == "condition Exposed, PortConflict"


def test_a_shared_application_that_is_deployed_is_not_the_missing_one() -> None:
    shares = {"components": [{"name": "http", "properties": {"application": {"name": "base", "component": "http"}}}]}
    refused = {"Ready": ("False", "DeployRejected", "wadm: not shared")}
    application = app(refused, shares)
    base = app(FINE, name="base", fields={"lattice": "x", "deployedVersion": "1"})
    there = why.of_application(application, Snapshot((pool(FINE),), (application, base)))
    absent = why.of_application(application, Snapshot((pool(FINE),), (application,)))
    assert [cause.field for cause in there] == ["condition Ready, DeployRejected"]
    assert absent[0].field == ".spec.components[0].properties.application"


def test_an_annotation_that_names_what_is_not_there_blames_no_pool() -> None:
    named = {"k8s.wasmcloud.dev/lattice": "y"}
    application = app(WAITING, annotations=named, fields={})
    pools = (with_condition("LatticeConnected", "Refused", "lattice x: refused"),)
    causes = why.of_application(application, Snapshot(pools, (application,)))
    assert causes[0].field == "annotation k8s.wasmcloud.dev/lattice"


def test_a_state_that_nobody_looked_at_points_to_the_operator() -> None:
    fresh = resource("shop", {}, {"observedGeneration": 0})
    (cause,) = why.of_application(fresh, Snapshot((), (fresh,)))
    assert cause.command == "kubectl wasmcloud doctor"


def test_a_service_without_endpoints_is_explained_by_its_application() -> None:
    services = [{"namespace": "team-a", "name": "shop", "readyEndpoints": 0}]
    application = app(WAITING, fields={"hostConfig": "edge", "services": services})
    seen = Snapshot((pool({**FINE, "LatticeConnected": ("False", "Refused", "refused")}),), (application,))
    causes = why.of_service(Key("team-a", "shop"), seen)
    assert [cause.subject.split()[0] for cause in causes] == ["WasmCloudHostConfig", "Application", "Service"]


def test_a_service_of_nobody_is_called_so() -> None:
    (cause,) = why.of_service(Key("team-a", "other"), Snapshot())
    assert "no Application" in cause.text


def test_odd_content_of_an_object_raises_nothing() -> None:
    for odd in (None, [], "text", 5, {"conditions": "x"}, {"conditions": [1]}, {"scalers": {"a": 1}}):
        item = resource("odd", odd, odd)
        assert why.of_application(item, Snapshot((item,), (item,)))
        assert why.of_pool(item, Snapshot((item,), (item,)))


SHOP = Key("team-a", "shop")
DEPLOYED: Conditions = {"Ready": ("True", "Deployed", "deployed"), "Exposed": ("True", "Exposed", "reached at …")}
READY = ListedEndpoint(Key("team-a", "edge-1"), ready=True, ending=False)
UNREADY = ListedEndpoint(Key("team-a", "edge-2"), ready=False, ending=False)
ENDING = ListedEndpoint(Key("team-a", "edge-3"), ready=False, ending=True)


def served(
    *endpoints: ListedEndpoint, counted: int = 1, pods: tuple[Unstructured, ...] = (), read: bool = True
) -> Snapshot:
    services = [{"namespace": "team-a", "name": "shop", "readyEndpoints": counted}]
    application = app(DEPLOYED, fields={"lattice": "x", "hostConfig": "edge", "services": services})
    return Snapshot((pool(FINE),), (application,), pods, endpoints={SHOP: endpoints} if read else {})


def both(seen: Snapshot) -> list[why.Cause]:
    """The causes of the Application, which are those of its Service too."""
    causes = why.of_application(seen.applications[0], seen)
    assert why.of_service(SHOP, seen) == causes
    return causes


def test_endpoints_that_are_ready_or_end_are_no_cause() -> None:
    assert both(served(READY, ENDING)) == []


def test_an_endpoint_that_is_not_ready_is_named_with_its_pods_reason() -> None:
    (cause,) = both(served(READY, UNREADY, pods=(container(CRASHING, "edge-2"),)))
    assert str(cause) == (
        "Pod team-a/edge-2 (.status): is an endpoint of Service team-a/shop that gets no requests: container"
        " wasmcloud-host: CrashLoopBackOff\n    kubectl -n team-a describe pod edge-2"
    )


def test_an_endpoint_whose_pod_cannot_be_seen_is_named_all_the_same() -> None:
    (cause,) = both(served(READY, UNREADY))
    assert cause.text.endswith("gets no requests: its EndpointSlice has it as not ready")


def test_slices_that_are_empty_though_the_status_counts_pods_are_a_cause() -> None:
    (cause,) = both(served(counted=2))
    assert cause.subject == "Service team-a/shop"
    assert cause.text.startswith("has no ready endpoint: its EndpointSlices list none, though 2 pods serve it by the")
    assert cause.command == "kubectl -n team-a get endpointslices -l kubernetes.io/service-name=shop"


def test_slices_without_a_ready_endpoint_are_counted_after_their_pods() -> None:
    pods_cause, cause = both(served(UNREADY, ENDING))
    assert pods_cause.subject == "Pod team-a/edge-2"
    assert "its EndpointSlices list 2 and none of them is ready" in cause.text


def test_without_the_right_to_read_slices_the_status_counts() -> None:
    assert both(served(counted=1, read=False)) == []
    (cause,) = why.of_service(SHOP, served(counted=0, read=False))
    assert cause.text == "has no ready endpoint"


def test_a_service_with_a_ready_endpoint_is_served_whatever_a_late_status_counts() -> None:
    assert why.of_service(SHOP, served(READY, counted=0)) == []


def test_a_service_of_no_application_is_explained_by_its_slices() -> None:
    def of_other(*endpoints: ListedEndpoint) -> list[str]:
        return [cause.subject for cause in why.of_service(SHOP, Snapshot(endpoints={SHOP: endpoints}))]

    assert of_other(READY) == []
    assert of_other(UNREADY) == ["Service team-a/shop", "Pod team-a/edge-2", "Service team-a/shop"]
    assert of_other() == ["Service team-a/shop", "Service team-a/shop"]


def test_a_pod_that_is_both_a_host_and_an_endpoint_is_named_once() -> None:
    crashed = container(CRASHING)
    services = [{"namespace": "team-a", "name": "shop", "readyEndpoints": 0}]
    waiting = app(WAITING, fields={"lattice": "x", "hostConfig": "edge", "services": services})
    unready = ListedEndpoint(crashed.metadata.key, ready=False, ending=False)
    seen = Snapshot((pool(FINE),), (waiting,), (crashed,), endpoints={SHOP: (unready,)})
    assert [cause.subject for cause in why.of_application(waiting, seen)] == [
        "Pod team-a/edge-1",
        "Application team-a/shop",
    ]


@pytest.mark.parametrize("name", ["x; rm -rf ~", "$(touch x)", "`x`", "x\ny", "x && y", "#", "~", "*"])
def test_a_name_in_a_command_to_copy_is_one_word_of_it(name: str) -> None:
    application = app(WAITING, fields={})
    lattices = (pool(FINE, spec={"lattice": name}), pool(FINE, name="other", spec={"lattice": f"{name}z"}))
    [cause, *_] = why.of_application(application, Snapshot(lattices, (application,)))
    words = shlex.split(cause.command)
    assert words[:-1] == ["kubectl", "-n", "team-a", "annotate", "applications.core.oam.dev", "shop"]
    assert words[-1] == f"k8s.wasmcloud.dev/lattice={name}".replace("\n", "\\x0a")
    refused = {"Ready": ("False", "DeployRejected", "wadm: not shared")}
    shares = {"components": [{"name": "web", "properties": {"application": {"name": name}}}]}
    application = app(refused, spec=shares)
    [cause, *_] = why.of_application(application, Snapshot((pool(FINE),), (application,)))
    assert shlex.split(cause.command)[-1] == f"metadata.name={name}".replace("\n", "\\x0a")


def test_a_shared_application_whose_name_is_no_text_is_missing() -> None:
    shares = {"components": [{"name": "web", "properties": {"application": {"name": ["x"]}}}]}
    application = app({"Ready": ("False", "DeployRejected", "wadm: not shared")}, spec=shares)
    [cause, *_] = why.of_application(application, Snapshot((pool(FINE),), (application,)))
    assert cause.field == ".spec.components[0].properties.application"
