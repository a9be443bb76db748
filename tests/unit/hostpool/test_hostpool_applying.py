"""The order in which a pool's children are applied, and when the rest of a pool waits for other pools' workloads."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from support.objects.hostpools import config, rendered
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.hostpool.apply import RETRY_SECONDS, PoolApplier
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.render_workload import KINDS
from wasmcloud_operator.kube.apply import Applied
from wasmcloud_operator.kube.errors import Invalid
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Unstructured
from wasmcloud_operator.shared.problem import SpecError

SPEC = {"podDisruptionBudget": {}}
NEEDED = ["Secrets", "ServiceAccount", "ConfigMap"]
REST = ["Service", "PodDisruptionBudget", "what is unwanted", "Secrets of before"]


class Cluster:
    """What was done to it, in order; `outcome` is what the next apply of the workload returns."""

    def __init__(self):
        self.done = []
        self.outcome = "changed"
        self.rolled_out = True
        self.clock = VirtualClock()
        store = SimpleNamespace(by_index=self.by_index)
        kinds = {
            resource: SimpleNamespace(resource=resource, informer=SimpleNamespace(store=store)) for resource in KINDS
        }
        self.applier = PoolApplier(kinds, self, self, self.clock)

    async def ensure(self, config, facts, secret_conf):
        self.done.append("Secrets")

    async def remove_unneeded(self, config, facts, secret_conf):
        self.done.append("Secrets of before")

    async def apply(self, kind, body, ours):
        self.done.append(body["kind"])
        if self.outcome == "refused" and body["kind"] == "Deployment":
            raise Invalid(422, "Invalid", "no")
        updated = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
        if self.outcome == "withheld" and body["kind"] == "Deployment":
            return Applied(None, "unchanged")
        live = {**body, "spec": {"replicas": 1}, "status": updated if self.rolled_out else {"replicas": 1}}
        return Applied(Unstructured(ObjectMeta(), live), self.outcome if body["kind"] == "Deployment" else "changed")

    def by_index(self, index, uid):
        if "what is unwanted" not in self.done:
            self.done.append("what is unwanted")
        return ()

    def forget(self, key):
        pass

    async def bring(self, generation, **spec):
        """Whether a look at the pool of that generation did everything, and what it did."""
        self.done.clear()
        item = CustomResource(ObjectMeta("pool", "team", "u", "1", generation))
        complete = await self.applier.apply(
            item, config({**SPEC, **spec}), rendered({**SPEC, **spec}).children, Facts(), lambda *_: None
        )
        return complete, list(self.done)


@pytest.fixture
def cluster():
    return Cluster()


async def test_a_workload_that_was_changed_puts_the_rest_off_once_a_generation(cluster):
    assert await cluster.bring(1) == (False, [*NEEDED, "Deployment"])
    # Edited by hand at that moment: or the rest would never have its turn.
    assert await cluster.bring(1) == (True, [*NEEDED, "Deployment", *REST])
    assert await cluster.bring(2) == (False, [*NEEDED, "Deployment"])
    assert await cluster.bring(2) == (True, [*NEEDED, "Deployment", *REST])


async def test_a_workload_that_is_as_wanted_puts_nothing_off(cluster):
    cluster.outcome = "unchanged"
    assert await cluster.bring(1) == (True, [*NEEDED, "Deployment", *REST])
    cluster.outcome = "changed"
    assert (await cluster.bring(1))[0]  # that generation had its turn


async def test_secrets_of_former_pods_go_when_those_pods_have_gone(cluster):
    cluster.outcome, cluster.rolled_out = "unchanged", False
    assert await cluster.bring(1) == (True, [*NEEDED, "Deployment", *REST[:-1]])
    cluster.rolled_out = True
    assert await cluster.bring(1) == (True, [*NEEDED, "Deployment", *REST])


async def test_a_workload_that_somebody_deletes_again_and_again_puts_nothing_off(cluster):
    cluster.outcome = "withheld"
    assert await cluster.bring(1) == (True, [*NEEDED, "Deployment", *REST[:-1]])


async def test_another_config_of_that_name_begins_anew(cluster):
    await cluster.bring(1)
    cluster.applier.forget(ObjectMeta("pool", "team").key)
    assert not (await cluster.bring(1))[0]


async def test_a_refused_child_is_sent_again_when_it_has_changed_or_after_a_while(cluster):
    cluster.outcome = "refused"
    for spec, sent in (({}, True), ({}, False), ({"logLevel": "DEBUG"}, True), ({"logLevel": "DEBUG"}, False)):
        with pytest.raises(SpecError, match="no"):
            await cluster.bring(1, **spec)
        assert ("Deployment" in cluster.done) is sent
    await cluster.clock.advance(RETRY_SECONDS)
    cluster.outcome = "unchanged"
    assert (await cluster.bring(1, logLevel="DEBUG"))[0]
