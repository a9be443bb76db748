"""The leaf node: to whom it is open, which secrets it has, and how large its messages are."""

from __future__ import annotations

import json

import pytest

from support.objects.hostpools import (
    config,
    rendered,
)
from wasmcloud_operator.hostpool.inputs import ChecksumKey, Facts, HubTls
from wasmcloud_operator.hostpool.render_workload import leaf_warnings

USERINFO = {"natsAddress": "nats://user:password@hub"}

CLIENT_CERTIFICATE = Facts(hub_tls=HubTls(True, True, "t"))


@pytest.mark.parametrize(
    ("spec", "facts", "is_open"),
    [
        ({}, Facts(), True),
        ({"natsTls": {"secretName": "hub"}}, Facts(hub_tls=HubTls(True, False, "t")), True),
        ({"secretName": "keys"}, Facts(credentials=True), False),
        (USERINFO, Facts(), False),
        ({"natsTls": {"secretName": "hub"}}, CLIENT_CERTIFICATE, False),
        ({**USERINFO, "leafService": {"enabled": True}}, Facts(), True),
        ({**USERINFO, "leafService": {"enabled": None}}, Facts(), False),
        ({"leafService": {"enabled": False}}, Facts(), False),
        (USERINFO, Facts(leaf_service_kept=True), True),
        ({**USERINFO, "leafService": {"enabled": False}}, Facts(leaf_service_kept=True), False),
    ],
)
def test_others_reach_a_leaf_with_hub_credentials_only_where_that_is_asked_for(spec, facts, is_open):
    found = rendered(spec, facts)
    conf = found.children.secret_conf or found.nats_conf
    assert ('listen: "0.0.0.0:4222"' in conf, found.child("Service") is not None) == (is_open, is_open)
    assert found.children.leaf_address == ("pool.team.svc:4222" if is_open else "loopback")


def test_a_service_that_was_there_before_is_marked_and_warned_of():
    kept = Facts(leaf_service_kept=True)
    service = rendered(USERINFO, kept).child("Service")
    assert service["metadata"]["annotations"] == {"k8s.wasmcloud.dev/adopted": "true"}
    assert [one.reason for one in leaf_warnings(config(USERINFO).spec, kept)] == ["LeafServiceOpen"]
    assert list(leaf_warnings(config({}).spec, kept)) == []
    assert list(leaf_warnings(config({**USERINFO, "leafService": {"enabled": True}}).spec, kept)) == []


def test_a_digest_of_a_password_cannot_be_found_by_whoever_guesses_the_password():
    keys = ChecksumKey("c4nary"), ChecksumKey("other")
    one, other = (rendered(USERINFO, Facts(checksum_key=key)).checksums["nats-conf"] for key in keys)
    assert one != other
    assert "c4nary" not in repr(Facts(checksum_key=keys[0]))
    assert rendered({}, Facts(checksum_key=keys[0])).checksums == rendered({}, Facts(checksum_key=keys[1])).checksums


@pytest.mark.parametrize("address", ["nats://u:c4nary@h", "nats://c4nary@h", "a,tls://u:c4nary@h:1"])
def test_a_password_in_the_address_is_in_no_child_and_in_no_repr(address):
    found = rendered({"natsAddress": address})
    assert "c4nary" not in json.dumps([child.body for child in found.children.all])
    assert "c4nary" not in repr(found.children)
    assert "c4nary" in found.children.secret_conf
    assert found.checksums != rendered({"natsAddress": address.replace("c4", "C4")}).checksums


@pytest.mark.parametrize("size", [1024, 8 << 20, 64 << 20])
def test_the_leaf_takes_messages_as_large_as_the_hub_does(size):
    found = rendered({}, Facts(max_payload=size))
    assert f"max_payload: {size}\n" in found.nats_conf
    assert found.child("ConfigMap")["metadata"]["annotations"] == {"k8s.wasmcloud.dev/max-payload": str(size)}
    assert found.checksums != rendered({}).checksums


def test_a_hub_of_natss_own_limit_changes_nothing():
    assert rendered({}, Facts(max_payload=1 << 20)).children == rendered({}).children
    assert "max_payload" not in rendered({}).nats_conf


def test_a_leaf_takes_no_more_than_its_server_starts_with():
    assert f"max_payload: {64 << 20}\n" in rendered({}, Facts(max_payload=1 << 30)).nats_conf


def test_the_leafs_service_names_its_protocol():
    (port,) = rendered({}).child("Service")["spec"]["ports"]
    assert port["appProtocol"] == "tcp"
