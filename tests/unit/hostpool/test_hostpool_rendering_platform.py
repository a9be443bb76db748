"""What of the pods depends on the cluster: address family, Kubernetes version, OpenShift, the node's network."""

from __future__ import annotations

import pytest

from support.objects.hostpools import (
    rendered,
    scheduling,
)
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.platform import Platform, platform_of
from wasmcloud_operator.kube.access import ServerVersion


@pytest.mark.parametrize(("ipv6", "expected"), [(False, "$(POD_IP):9090"), (True, "[$(POD_IP)]:9090")])
def test_the_admin_endpoint_is_on_the_pods_own_address_in_either_family(ipv6, expected):
    assert rendered({}, Facts(platform=Platform(ipv6=ipv6))).env["WASMCLOUD_HTTP_ADMIN"] == expected


@pytest.mark.parametrize(
    ("family", "api_service", "ipv6"),
    [
        ("auto", "10.96.0.1", False), ("auto", "fd00:10:96::1", True), ("auto", "", False),
        ("auto", "api.example", False), ("ipv6", "10.96.0.1", True), ("ipv4", "fd00:10:96::1", False),
    ],
)  # fmt: skip
def test_the_pods_family_is_that_of_the_apis_service_unless_set(family, api_service, ipv6):
    assert platform_of(ServerVersion(1, 33, ""), family, api_service).ipv6 is ipv6


@pytest.mark.parametrize(("minor", "known"), [(29, False), (30, True)])
def test_the_sleep_action_is_known_from_1_30_on(minor, known):
    assert platform_of(ServerVersion(1, minor, ""), "auto", "").sleep_action is known


@pytest.mark.parametrize(("known", "expected"), [(True, {"preStop": {"sleep": {"seconds": 10}}}), (False, None)])
def test_before_1_30_there_is_no_sleep_action(known, expected):
    assert rendered({}, Facts(platform=Platform(sleep_action=known))).host.get("lifecycle") == expected


def test_on_the_nodes_network_no_network_setting_is_asked_for():
    found = rendered(scheduling(podTemplateAdditions={"hostNetwork": True}))
    assert "sysctls" not in found.pod["securityContext"]


@pytest.mark.parametrize(
    "additions",
    [{"podTemplateAdditions": {"hostNetwork": True}},
     {"containerTemplateAdditions": {"wasmcloud": {"ports": [{"containerPort": 80, "hostPort": 80}]}}}],
)  # fmt: skip
def test_a_daemonset_with_ports_of_the_node_replaces_pods_in_place(additions):
    found = rendered(scheduling(daemonset=True, **additions))
    assert found.workload["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("none", [0, "0%"])
@pytest.mark.parametrize(
    ("additions", "update"),
    [({}, {"maxSurge": 1}), ({"hostNetwork": True}, {"maxSurge": 0, "maxUnavailable": 1})],
)
def test_no_missing_pods_in_a_daemonset_is_the_same_as_a_number_and_in_percent(additions, update, none):
    written = scheduling(daemonset=True, rollingUpdate={"maxUnavailable": none}, podTemplateAdditions=additions)
    found = rendered(written).workload["spec"]["updateStrategy"]["rollingUpdate"]
    assert found == {"maxUnavailable": none, **update}


def test_on_openshift_the_pods_get_the_namespaces_own_user():
    found = rendered({}, Facts(platform=Platform(openshift=True)))
    assert not found.pod["securityContext"].keys() & {"runAsUser", "runAsGroup", "fsGroup"}
    assert found.pod["securityContext"]["runAsNonRoot"] is True
