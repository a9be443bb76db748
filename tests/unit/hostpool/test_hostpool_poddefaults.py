"""What a pod has without being asked: requests, nodes of its own, a budget, a root that nobody writes to."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.objects.hostpools import rendered, scheduling
from testbed.components import COMPONENTS
from wasmcloud_operator.hostpool.pod_defaults import HOST_REQUESTS, LEAF_REQUESTS
from wasmcloud_operator_types.defaults import LEAF_IMAGE

ROOT = Path(__file__).parents[3]


def added(**fields):
    return scheduling(containerTemplateAdditions={"wasmcloud": fields, "nats": fields})


def of_both(found):
    return found.host["resources"], found.leaf["resources"]


def test_both_containers_ask_for_what_they_use_when_idle():
    assert of_both(rendered({})) == ({"requests": HOST_REQUESTS}, {"requests": LEAF_REQUESTS})


@pytest.mark.parametrize("limits", [{"memory": "32Mi"}, {"memory": "32Mi", "cpu": "10m"}, {"nvidia.com/gpu": 1}])
def test_no_request_of_ours_stands_beside_a_limit_of_the_users(limits):
    own = {"limits": limits}
    for spec in (scheduling(resources={"wasmcloud": own, "nats": own}), added(resources=own)):
        for found, defaults in zip(of_both(rendered(spec)), (HOST_REQUESTS, LEAF_REQUESTS), strict=True):
            assert found["limits"] == limits
            kept = {name: size for name, size in defaults.items() if name not in limits}
            assert found.get("requests", {}) == kept


@pytest.mark.parametrize("field", ["limits", "requests"])
def test_no_request_of_ours_stands_beside_what_the_whole_pod_has(field):
    found = rendered(scheduling(podTemplateAdditions={"resources": {field: {"cpu": "50m"}}}))
    assert [sizes["requests"].keys() for sizes in of_both(found)] == [{"memory"}, {"memory"}]


def test_the_users_requests_win_and_the_others_stay():
    own = {"requests": {"cpu": "2"}}
    for spec in (scheduling(resources={"wasmcloud": own, "nats": own}), added(resources=own)):
        host, leaf = of_both(rendered(spec))
        assert host == {"requests": {**HOST_REQUESTS, "cpu": "2"}}
        assert leaf == {"requests": {**LEAF_REQUESTS, "cpu": "2"}}


@pytest.mark.parametrize(
    ("null", "left"),
    [
        ({"resources": None}, None),
        ({"resources": {"requests": None}}, {}),
        ({"resources": {"requests": {"memory": None}}}, {"requests": {"cpu": HOST_REQUESTS["cpu"]}}),
        ({"resources": {"limits": None}}, {"requests": HOST_REQUESTS}),
    ],
)
def test_null_takes_requests_out(null, left):
    assert rendered(added(**null)).host.get("resources") == left


def test_pods_prefer_nodes_and_zones_without_another_of_their_pool():
    pod = rendered({}, name="mine").pod
    selector = {"matchLabels": {"app.kubernetes.io/name": "wasmcloud", "app.kubernetes.io/instance": "mine"}}
    (constraint,) = pod["topologySpreadConstraints"]
    assert (constraint["topologyKey"], constraint["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert constraint["labelSelector"] == selector
    (term,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"] == {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": selector}


@pytest.mark.parametrize("daemonset", [{"daemonset": True}, scheduling(daemonset=True)])
def test_a_daemonset_is_on_every_node_anyway(daemonset):
    assert not rendered(daemonset).pod.keys() & {"topologySpreadConstraints", "affinity"}


@pytest.mark.parametrize("value", [None, []])
def test_spreading_can_be_taken_out(value):
    additions = {"topologySpreadConstraints": value, "affinity": None}
    assert not rendered(scheduling(podTemplateAdditions=additions)).pod.keys() & additions.keys()


def test_constraints_of_the_users_own_take_the_place_of_ours():
    own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    nodes = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    pod = rendered(scheduling(podTemplateAdditions={"topologySpreadConstraints": own, "affinity": nodes})).pod
    assert pod["topologySpreadConstraints"] == own
    assert pod["affinity"].keys() == {"nodeAffinity", "podAntiAffinity"}


@pytest.mark.parametrize(
    ("spec", "there"),
    [
        ({}, False),
        ({"hostReplicas": 0}, False),
        ({"hostReplicas": 1}, False),
        ({"hostReplicas": 2}, True),
        ({"hostReplicas": 9, "podDisruptionBudget": None}, True),
        ({"hostReplicas": 9, "daemonset": True}, False),
        ({"hostReplicas": 9, "daemonset": True, "podDisruptionBudget": {"enabled": False}}, False),
        ({"hostReplicas": 9, **scheduling(daemonset=True)}, False),
        ({"hostReplicas": 1, "podDisruptionBudget": {}}, True),
    ],
)
def test_a_budget_is_there_from_two_replicas_on(spec, there):
    assert ("PodDisruptionBudget" in rendered(spec).kinds) is there


def test_the_default_budget_lets_one_pod_go_at_a_time():
    budget = rendered({"hostReplicas": 3}).child("PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], "minAvailable" in budget) == (1, False)


def test_nobody_writes_to_the_hosts_root_and_its_home_is_writable():
    host = rendered({}).host
    assert host["securityContext"]["readOnlyRootFilesystem"] is True
    written = {mount["mountPath"] for mount in host["volumeMounts"] if not mount.get("readOnly")}
    assert next(entry["value"] for entry in host["env"] if entry["name"] == "HOME") in written


@pytest.mark.parametrize(("value", "expected"), [(None, None), (False, False)])
def test_a_writable_root_is_there_for_who_asks(value, expected):
    found = rendered(added(securityContext={"readOnlyRootFilesystem": value}))
    assert found.host["securityContext"].get("readOnlyRootFilesystem") is expected


def test_the_nats_that_is_installed_is_the_one_that_the_tests_run():
    image = f"nats:{COMPONENTS['nats-server'].version}-alpine"
    assert image == LEAF_IMAGE
    values = yaml.safe_load((ROOT / "manifests/chart/wasmcloud-platform/values.yaml").read_text())
    assert f"nats:{values['nats']['image']['tag']}" == image
    assert f"docker.io/library/{image}" in (ROOT / "tests/e2e/manifests/nats.yaml").read_text()
