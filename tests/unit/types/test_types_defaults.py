"""`effective`: what the operator takes for fields that are left out, as data; the renderer takes the same."""

from __future__ import annotations

import re

import pytest

from support.objects.hostpools import SAMPLE, rendered, scheduling
from wasmcloud_operator.hostpool.serving import Patience
from wasmcloud_operator.lattice.subjects import DEFAULT_CONTROL_PREFIX
from wasmcloud_operator_types import WasmCloudHostConfigSpec, dump, effective, parse

SPECS = [
    {},
    SAMPLE,
    {"hostReplicas": 5, "podDisruptionBudget": {"minAvailable": "50%"}},
    {"hostReplicas": 5, "podDisruptionBudget": {"enabled": False}},
    {"hostReplicas": 1, "podDisruptionBudget": {}},
    {"daemonset": True, "hostReplicas": 3},
    {**scheduling(daemonset=True), "podDisruptionBudget": {"minAvailable": 1}},
    {"image": "r.example:5000/w@sha256:" + "0" * 64, "version": "latest", "natsLeafImage": "nats:2"},
    {"natsAddress": "ws://hub,wss://other:9443", "natsClientPort": None},
    {"natsAddress": "tls://hub:4333", "natsLeafnodePort": 7000, "jetstreamDomain": "hub"},
    {"version": "0.82.0", "logLevel": "debug", "rollout": {"waitForLattice": False}},
]


def spec_of(fields):
    return parse(WasmCloudHostConfigSpec, {"lattice": "default", "version": "1.6.0", **fields})


@pytest.mark.parametrize("fields", SPECS, ids=str)
def test_a_spec_with_its_defaults_written_out_is_the_same_pool(fields):
    def bodies(spec):
        found = rendered(spec)
        found.host["env"] = [entry for entry in found.host["env"] if entry["name"] != "WASMCLOUD_CTL_TOPIC_PREFIX"]
        return [child.body for child in found.children.all]

    assert bodies(fields) == bodies(dump(effective(spec_of(fields))))


@pytest.mark.parametrize("fields", SPECS, ids=str)
def test_written_fields_stay_and_defaults_apply_once(fields):
    spec = spec_of(fields)
    shown = effective(spec)
    assert effective(shown) == shown
    for name in spec.model_fields_set - {"rollout", "pod_disruption_budget", "probes"}:
        written = getattr(spec, name)
        assert written is None or getattr(shown, name) == written


def test_defaults_are_those_of_the_fields_descriptions():
    shown = effective(spec_of({"hostReplicas": 2}))
    for name, field in WasmCloudHostConfigSpec.model_fields.items():
        described = re.search(r"[;,] (\S+) when left out", field.description or "")
        value = getattr(shown, name)
        if described and isinstance(value, str | int):
            expected = str(value).lower() if isinstance(value, bool) else str(value)
            assert described[1].replace("<version>", "1.6.0") == expected, name


def test_the_defaults_of_waiting_are_those_of_the_readiness_gate():
    rollout = effective(spec_of({})).rollout
    assert Patience.of(rollout) == Patience.of(None)


def test_the_control_prefix_is_the_one_that_the_operator_uses():
    assert effective(spec_of({})).control_topic_prefix == DEFAULT_CONTROL_PREFIX


def test_the_budget_of_a_pool_is_described():
    assert effective(spec_of({"hostReplicas": 2})).pod_disruption_budget.max_unavailable == 1
    assert effective(spec_of({"hostReplicas": 1})).pod_disruption_budget.enabled is False
