"""Argo CD's actions of both kinds, in the real Lua interpreter: what is offered, and what each changes."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from support.kube.kstatus import argocd_act, argocd_actions
from wasmcloud_operator_types import Application, WasmCloudHostConfig, parse

PAUSED, UNDEPLOY = "k8s.wasmcloud.dev/paused", "k8s.wasmcloud.dev/undeploy"
POOL: dict[str, Any] = {
    "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
    "kind": "WasmCloudHostConfig",
    "metadata": {"name": "edge"},
    "spec": {"lattice": "x", "version": "1.9.0"},
}
APPLICATION: dict[str, Any] = {
    "apiVersion": "core.oam.dev/v1beta1",
    "kind": "Application",
    "metadata": {"name": "hello"},
    "spec": {"components": [{"name": "hello", "type": "component", "properties": {"image": "example.com/hello:1"}}]},
}
BOTH = pytest.mark.parametrize("obj", [POOL, APPLICATION], ids=["pool", "application"])


def offered(obj: dict[str, Any]) -> set[str]:
    return {name for name, possible in argocd_actions(obj).items() if possible}


def test_only_what_changes_something_is_offered() -> None:
    assert offered(POOL) == {"pause", "restart-hosts"}
    assert offered(argocd_act(POOL, "pause")) == {"resume"}
    assert offered(APPLICATION) == {"pause", "undeploy"}
    assert offered(argocd_act(argocd_act(APPLICATION, "pause"), "undeploy")) == {"resume", "deploy"}


@pytest.mark.parametrize("spelling", ["True", "TRUE"])
def test_another_spelling_that_the_operator_takes_counts_as_well(spelling: str) -> None:
    obj = copy.deepcopy(APPLICATION)
    obj["metadata"]["annotations"] = {PAUSED: spelling, UNDEPLOY: spelling}
    assert offered(obj) == {"resume", "deploy"}


@BOTH
def test_resume_takes_back_what_pause_set_and_nothing_else(obj: dict[str, Any]) -> None:
    marked = copy.deepcopy(obj)
    marked["metadata"]["annotations"] = {"team": "a"}
    paused = argocd_act(marked, "pause")
    assert paused["metadata"]["annotations"] == {"team": "a", PAUSED: "true"}
    assert argocd_act(paused, "resume") == marked


@BOTH
def test_resume_of_an_object_without_annotations_changes_nothing(obj: dict[str, Any]) -> None:
    assert argocd_act(obj, "resume") == obj


def test_deploy_takes_back_undeploy() -> None:
    undeployed = argocd_act(APPLICATION, "undeploy")
    assert undeployed["metadata"]["annotations"] == {UNDEPLOY: "true"}
    assert argocd_act(undeployed, "deploy")["metadata"]["annotations"] == {}


def test_restarting_hosts_changes_their_pods_and_keeps_what_is_there() -> None:
    pool = copy.deepcopy(POOL)
    pool["spec"]["podMetadata"] = {"labels": {"team": "a"}, "annotations": {"a": "b"}}
    for before in (POOL, pool):
        after = argocd_act(before, "restart-hosts")
        stamp = after["spec"]["podMetadata"]["annotations"].pop("kubectl.kubernetes.io/restartedAt")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
        assert after["spec"]["podMetadata"] == before["spec"].get("podMetadata", {"annotations": {}})


@pytest.mark.parametrize("action", ["pause", "resume", "restart-hosts"])
def test_an_action_on_a_pool_yields_a_valid_host_config(action: str) -> None:
    parse(WasmCloudHostConfig, argocd_act(POOL, action))


@pytest.mark.parametrize("action", ["pause", "resume", "undeploy", "deploy"])
def test_an_action_on_an_application_yields_a_valid_one(action: str) -> None:
    parse(Application, argocd_act(APPLICATION, action))
