"""Which changes roll the pods of a pool, and which reach the hosts without it."""

from __future__ import annotations

import pytest

from support.objects.hostpools import (
    AUTHORITY,
    ONE_REGISTRY,
    SECRET_CA,
    authority,
    rendered,
)
from wasmcloud_operator.hostpool.inputs import Authority, Facts, HubTls


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("cluster-seed", Facts(seed_digest="a"), Facts(seed_digest="b")),
        ("nats-tls", Facts(hub_tls=HubTls(True, True, "a")), Facts(hub_tls=HubTls(True, True, "b"))),
        ("registry", ONE_REGISTRY, Facts(registries=("ghcr.io",), registry_digest="r2")),
        ("authorities", AUTHORITY, Facts(authorities=(Authority("roots", ("a.crt", "b.crt"), "c2"),))),
    ],
)
def test_new_content_rolls_the_pods(name, before, after):
    spec = {"secretName": "keys", "natsTls": {"secretName": "hub"}, **authority(SECRET_CA)}
    old, new = rendered(spec, before), rendered(spec, after)
    assert {key for key in old.checksums if old.checksums[key] != new.checksums[key]} == {name}
    assert old.pod == new.pod


def test_a_changed_conf_rolls_the_pods_and_replicas_do_not():
    assert rendered({"natsAddress": "a"}).checksums != rendered({"natsAddress": "b"}).checksums
    assert rendered({"hostReplicas": 1}).template == rendered({"hostReplicas": 2}).template


def test_a_single_registry_goes_by_the_config_service_alone_where_hosts_ask_it():
    spec = {"registryCredentialsSecret": "pull", "configServiceEnabled": True}
    found = rendered(spec, ONE_REGISTRY)
    assert found.env["WASMCLOUD_CONFIG_SERVICE"] == "true"
    assert not [name for name in found.env if name.startswith("WASMCLOUD_OCI_REGISTRY")]
    assert found.template == rendered(spec, Facts(registries=("ghcr.io",), registry_digest="r2")).template


def test_new_hub_credentials_roll_nothing():
    before, after = (rendered({"secretName": "keys"}, Facts(credentials=True)) for _ in range(2))
    assert before.template == after.template
    (mount,) = (one for one in before.leaf["volumeMounts"] if one["name"] == "nats-creds")
    assert "subPath" not in mount  # or the kubelet would leave the old file in place


def test_several_registries_go_by_the_config_service_and_roll_nothing():
    found = rendered({"registryCredentialsSecret": "pull"}, Facts(registries=("a", "b"), registry_digest="r"))
    assert found.env["WASMCLOUD_CONFIG_SERVICE"] == "true"
    assert not [name for name in found.env if name.startswith("WASMCLOUD_OCI_REGISTRY")]
    assert "registry" not in found.checksums
