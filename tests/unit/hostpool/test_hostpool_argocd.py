"""Argo CD's health check of a host config: the same verdict as kstatus, so that sync waves wait for a pool."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from support.kube.kstatus import argocd_health, kstatus
from wasmcloud_operator.kube.conditions import Condition, progressing, ready, stalled, to_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pool(conditions: list[Condition], *, observed: int = 2) -> dict[str, Any]:
    body = {"observedGeneration": observed, "conditions": to_status(conditions, None, observed, NOW)}
    return {"kind": "WasmCloudHostConfig", "metadata": {"name": "edge", "generation": 2}, "status": body}


@pytest.mark.parametrize(
    ("conditions", "argocd", "flux"),
    [
        (ready("HostsInLattice", "2 of 2 hosts in lattice x"), "Healthy", "Current"),
        (progressing("RollingOut", "1 of 2 hosts"), "Progressing", "InProgress"),
        (stalled("SecretMissing", "Secret creds is missing"), "Degraded", "Failed"),
    ],
)
def test_health_follows_the_conditions(conditions: list[Condition], argocd: str, flux: str) -> None:
    obj = pool(conditions)
    assert argocd_health(obj) == (argocd, conditions[0].message)
    assert kstatus(obj) == flux


@pytest.mark.parametrize("observed", [1, 2])
def test_a_paused_pool_is_suspended_whether_its_spec_is_followed_or_not(observed: int) -> None:
    paused = Condition("Paused", "True", "Paused", "nothing is written")
    obj = pool([*ready("HostsInLattice", "2 of 2"), paused], observed=observed)
    assert argocd_health(obj) == ("Suspended", "nothing is written")


@pytest.mark.parametrize("observed", [-1, 1])
def test_an_earlier_generations_status_is_no_verdict(observed: int) -> None:
    assert argocd_health(pool(ready("HostsInLattice", "2 of 2"), observed=observed))[0] == "Progressing"


@pytest.mark.parametrize("status", [None, {}, {"observedGeneration": 2}])
def test_a_pool_that_nobody_looked_at_is_progressing(status: dict[str, Any] | None) -> None:
    obj = {"kind": "WasmCloudHostConfig", "metadata": {"generation": 2}} | ({"status": status} if status else {})
    assert argocd_health(obj)[0] == "Progressing"
