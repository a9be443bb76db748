"""What a reconcile of a host config comes to: the conditions, warnings and waits that its status has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from support.sites.reconciled_pool import KEY, PAUSED, REFUSED
from wasmcloud_operator.hostpool import naming, reconciler
from wasmcloud_operator.hostpool.apply import RETRY_SECONDS
from wasmcloud_operator.hostpool.natsconf import DEFAULT_PAYLOAD
from wasmcloud_operator.hostpool.pod_reasons import CRASHING, PodReason
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key
from wasmcloud_operator.legacy.hostpools import FINALIZER
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

DAMAGED = (
    "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n"
    "-----BEGIN USER NKEY SEED-----\nSUAAAA\n------END USER NKEY SEED------\n"
)


async def test_a_fault_of_a_secret_that_only_nats_finds_is_about_the_secret_as_well(site):
    site.creds(DAMAGED)
    site.config(secretName="keys")
    message = ".spec.secretName: Secret keys: nats.creds: the user seed is damaged"
    usable = Result.waiting(f"Secrets that can be used: {message}")
    assert await site.look() == usable  # its watch reports it
    assert site.conditions["Stalled"] == ("True", "SecretContentInvalid", message)
    assert site.conditions["SecretsValid"] == ("False", "SecretContentInvalid", message)
    site.conditions.clear()
    assert await site.look() == usable  # nothing has changed, and it is not forgotten
    assert site.conditions["SecretsValid"][0] == "False"


async def test_a_refused_spec_shows_that_the_secrets_are_valid(site):
    site.config(secretName="keys")
    await site.look()
    assert site.conditions["SecretsValid"][:2] == ("False", "SecretNotFound")
    site.config()
    site.refusal = REFUSED
    assert await site.look() == Result.waiting("what is refused to be mended: .spec.image: no", RETRY_SECONDS)
    assert site.conditions["SecretsValid"][0] == "True"
    assert site.conditions["Stalled"][1] == "DeploymentRefused"


@pytest.mark.parametrize("refusal", ["of the API server", "a missing Secret", "an unknown field"])
async def test_whatever_is_wrong_the_state_of_the_running_pods_is_reported(site, refusal):
    site.deployment("u1", ready=1)
    if refusal == "of the API server":
        site.refusal = REFUSED
    site.config(**{"a missing Secret": {"secretName": "keys"}, "an unknown field": {"new": 1}}.get(refusal, {}))
    for ready, works in ((1, "True"), (0, "False")):
        site.deployment("u1", ready)
        await site.look()
        assert site.conditions["Stalled"][0] == "True"
        assert site.conditions["WorkloadAvailable"][0] == works
        assert site.fields == {"replicas": 1, "readyReplicas": ready}


async def test_the_state_of_somebody_elses_workload_is_not_reported(site):
    site.deployment("somebody", ready=1)
    site.refusal = REFUSED
    site.config()
    await site.look()
    assert "WorkloadAvailable" not in site.conditions
    assert site.fields == {}


async def test_a_reconcile_that_ends_early_names_what_it_waits_for(site):
    site.config()
    assert await site.look() == DONE
    site.whole = False
    assert await site.look() == Result.waiting("news of the workload, which was changed just now")
    site.configs[KEY] = replace(site.configs[KEY], metadata=replace(site.configs[KEY].metadata, annotations=PAUSED))
    assert await site.look() == Result.waiting("the end of the pause (annotation k8s.wasmcloud.dev/paused)")


async def test_only_budgets_of_others_for_the_pools_pods_count_as_other_budgets(site):
    def budget(name, owner, labels):
        owners = [{"kind": "WasmCloudHostConfig", "name": "pool", "uid": owner, "controller": True}]
        metadata = {"name": name, "namespace": "ns", "ownerReferences": owners}
        return Unstructured.from_body({"metadata": metadata, "spec": {"selector": {"matchLabels": labels}}})

    site.config(hostReplicas=2, podDisruptionBudget={"maxUnavailable": 1})
    site.budgets += [budget("mine", "u1", {}), budget("of-others", "x", {"app": "another"})]
    await site.look()
    assert site.facts.other_budget == ""
    assert "Warnings" not in site.conditions
    site.budgets.append(budget("second", "x", {}))
    await site.look()
    assert site.facts.other_budget == "second"
    assert site.conditions["Warnings"][1] == "SecondBudget"


@pytest.mark.parametrize(("noted", "size"), [("4096", 4096), ("", DEFAULT_PAYLOAD), ("9" * 12, DEFAULT_PAYLOAD)])
async def test_while_the_hub_is_away_the_largest_message_is_what_was_noted(site, noted, size):
    metadata = {"name": "pool", "namespace": "ns", "annotations": {naming.MAX_PAYLOAD: noted}}
    site.workloads[CONFIG_MAP][KEY] = Unstructured.from_body({"metadata": metadata})
    site.config()
    await site.look()
    assert site.facts.max_payload == size


async def test_all_warnings_stand_in_one_condition(site):
    site.config()
    await site.look()
    assert "Warnings" not in site.conditions
    contested, unowned = Problem(Reason.SET_BACK, "", "by kubectl"), Problem(Reason.CONFLICT, "", "in the way")
    site.contests = ([contested], 7.0)
    site.reconciler.unowned.put(Key("ns", "app"), [(site.pools.get(KEY).lattice, unowned)])
    assert (await site.look()).requeue_after == 7.0
    assert site.conditions["Warnings"] == ("True", "SetBack", f"{contested}; {unowned}")
    assert site.reports, "an Event goes with it"


async def test_why_pods_of_a_daemon_set_are_not_made_is_asked_for_where_some_are_missing(site):
    refused = PodReason("FailedCreate", "no quota")
    site.pods_refused = refused
    site.config(daemonset=True)
    site.daemon_set(wanted=2, there=2)
    assert await site.look() == DONE
    assert "no quota" not in site.conditions["Reconciling"][2]
    site.daemon_set(wanted=2, there=1)
    assert (await site.look()).requeue_after == 10.0
    assert site.conditions["Reconciling"][1] == "FailedCreate"


async def test_a_host_that_crashes_may_do_so_as_its_lattice_is_out_of_reach(site, monkeypatch):
    site.config()
    site.deployment("u1", ready=0)
    connection = SimpleNamespace(connected=False, message="nobody answers at the hub")
    site.lattice_seen = SimpleNamespace(connection=connection)
    for reason, connected, named in (
        (CRASHING, False, True),
        (CRASHING, True, False),
        ("ImagePullBackOff", False, False),
    ):
        connection.connected = connected
        monkeypatch.setattr(reconciler, "first_reason", lambda _, why=reason: PodReason(why, "pod p"))
        await site.look()
        assert ("nobody answers" in site.conditions["Reconciling"][2]) is named


async def test_a_failure_that_is_no_fault_of_the_config_leaves_the_rest_of_the_status(site):
    site.config()
    await site.reconciler.report(KEY, ValueError("no"))
    assert site.conditions["Ready"][:2] == ("Unknown", "ReconcileFailed")
    assert site.kept
    for ended in ({}, PAUSED):
        site.conditions.clear()
        site.annotate(ended, deletion_timestamp=None if ended else "2026-01-01T00:00:00Z")
        await site.reconciler.report(KEY, ValueError("no"))
        assert site.conditions == {}


async def test_a_workload_is_ready_once_its_hosts_are_in_the_lattice(site):
    site.config()
    site.deployment("u1", ready=0)
    await site.look()
    assert site.conditions["Reconciling"][1] == "RollingOut"
    site.deployment("u1", ready=1)
    await site.look()
    assert site.conditions["Reconciling"][1] == "HostsNotKnown"
    connection = SimpleNamespace(connected=True, connecting=False, message="")
    site.lattice_seen = SimpleNamespace(connection=connection, lattice="blue", hosts=("N1",))
    await site.look()
    assert site.conditions["Ready"][:2] == ("True", "HostsInLattice")


async def test_a_leaf_service_that_stays_open_beside_credentials_is_warned_of(site):
    site.config(natsAddress="nats://me:secret@127.0.0.1:9")
    site.annotate({}, finalizers=(FINALIZER,))
    await site.look()
    assert site.conditions["Warnings"][1] == "LeafServiceOpen"


async def test_a_setting_without_effect_is_warned_of(site):
    site.config(version="0.80.0", secretsTopicPrefix="mine")
    await site.look()
    assert site.conditions["Warnings"][1] == "HostTooOld"


async def test_a_reason_of_a_pod_comes_before_why_others_are_not_made(site, monkeypatch):
    site.pods_refused = PodReason("FailedCreate", "no quota")
    monkeypatch.setattr(reconciler, "first_reason", lambda _: PodReason("ImagePullBackOff", "pod p"))
    site.config(daemonset=True)
    site.daemon_set(wanted=2, there=1)
    await site.look()
    assert site.conditions["Reconciling"][1] == "ImagePullBackOff"
