"""What a look at a host config comes to: which condition is said, and of which config."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
import pytest_asyncio
from msgspec.structs import replace

from testbed.waiting import in_one_task
from wasmcloud_operator.hostpool import naming, reconciler
from wasmcloud_operator.hostpool.apply import RETRY_SECONDS
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.natsconf import DEFAULT_PAYLOAD
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.pod_reasons import CRASHING, PodReason
from wasmcloud_operator.hostpool.problems import SpecError
from wasmcloud_operator.hostpool.reconciler import HostConfigReconciler, parsed
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.kube.objects import CustomResource, Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SERVICE, Key
from wasmcloud_operator.kube.testing import VirtualClock
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.lattice.write_gate import AlwaysOpen
from wasmcloud_operator.legacy.hostpools import FINALIZER, RIVAL_SECONDS, RustPools
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

KEY = Key("ns", "pool")
SPEC = {"lattice": "blue", "version": "1.6.0", "natsAddress": "nats://127.0.0.1:9"}
DAMAGED = (
    "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n"
    "-----BEGIN USER NKEY SEED-----\nSUAAAA\n------END USER NKEY SEED------\n"
)
PAUSED = {"k8s.wasmcloud.dev/paused": "true"}
REFUSED = Problem("DeploymentRefused", ".spec.image", "no")


class Cache(dict):
    """Objects by key, and the keys of those that cannot be decoded."""

    def __init__(self):
        super().__init__()
        self.unreadable = {}


class Rust(RustPools):
    """The operator written in Rust, as far as it is known of."""

    def __init__(self):
        super().__init__(None, None, VirtualClock())
        self.asked, self.runs, self.cleaned = [], False, False

    def still_runs(self, item):
        return self.runs

    async def take_over(self, item, children):
        self.asked.append(("take over", DEPLOYMENT in set(children)))

    async def clean_up(self, item, workload, *, rolled_out):
        self.asked.append(("clean up", rolled_out))
        return self.cleaned

    async def release(self, item):
        self.asked.append("release")

    def forget(self, key):
        self.asked.append("forget")


class Site:
    """A reconciler with a real reader and real pools; the cluster and the status are in memory."""

    def __init__(self, pools):
        self.pools = pools
        self.configs, self.secrets, self.workloads = (
            Cache(),
            {},
            {DEPLOYMENT: {}, DAEMON_SET: {}, SERVICE: {}, CONFIG_MAP: {}},
        )
        self.refusal = None
        self.whole = True
        self.said, self.fields, self.kept, self.reports, self.events = {}, {}, False, [], []
        self.pods_refused, self.lattice_seen, self.contests = None, None, ([], None)
        self.pods, self.budgets, self.told, self.forgotten = [], [], [], []
        self.registries_due, self.rust = True, Rust()
        watch = SimpleNamespace(synced_in=lambda _: True, store=self.secrets)
        kinds = {kind: SimpleNamespace(informer=SimpleNamespace(store=held)) for kind, held in self.workloads.items()}
        self.reconciler = HostConfigReconciler(
            SimpleNamespace(store=self.configs),
            kinds,
            ReferenceReader(self, watch, watch, Platform()),
            self,
            SimpleNamespace(forget=lambda _: self.forgotten.append("registries"), due=lambda *_: self.registries_due),
            self.rust,
            pools,
            self,
            SimpleNamespace(pods_of=lambda _: self.pods),
            UnownedProblems(),
            SimpleNamespace(store=SimpleNamespace(by_index=lambda *_: self.budgets)),
            self.refusal_of_pods,
            self.told.append,
        )

    def config(self, uid="u1", **spec):
        self.configs[KEY] = CustomResource(ObjectMeta("pool", "ns", uid, "1", 1), {**SPEC, **spec})

    def creds(self, text):
        self.secrets[Key("ns", "keys")] = Metadata(ObjectMeta("keys", "ns", "s", str(len(self.secrets) + 1)))
        self.text = text

    def deployment(self, owner, ready):
        owners = [{"kind": "WasmCloudHostConfig", "name": "pool", "uid": owner, "controller": True}]
        body = {
            "metadata": {"name": "pool", "namespace": "ns", "generation": 1, "ownerReferences": owners},
            "spec": {"replicas": 1},
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "readyReplicas": ready,
                "availableReplicas": ready,
            },
        }
        self.workloads[DEPLOYMENT][KEY] = Unstructured.from_body(body)

    def contested(self, key, children):
        return self.contests

    async def refusal_of_pods(self, _):
        return self.pods_refused

    def seen(self, _):
        return self.lattice_seen

    def event(self, item, type_, reason, note):
        self.events.append(reason)

    def annotate(self, annotations, **of_metadata):
        item = self.configs[KEY]
        self.configs[KEY] = replace(item, metadata=replace(item.metadata, annotations=annotations, **of_metadata))

    def service(self, owner, annotations):
        owners = [{"kind": "WasmCloudHostConfig", "name": "pool", "uid": owner, "controller": True}]
        metadata = {"name": "pool", "namespace": "ns", "ownerReferences": owners, "annotations": annotations}
        self.workloads[SERVICE][KEY] = Unstructured.from_body({"metadata": metadata})

    def daemon_set(self, *, wanted, there):
        status = {"desiredNumberScheduled": wanted, "currentNumberScheduled": there}
        body = {"metadata": {"name": "pool", "namespace": "ns"}, "spec": {}, "status": status}
        self.workloads[DAEMON_SET][KEY] = Unstructured.from_body(body)

    async def look(self):
        return await self.reconciler.reconcile(KEY)

    # The API server, as far as it is read.
    async def get(self, resource, key):
        if key not in self.secrets:
            raise NotFound(404, "NotFound", "")
        data = {"nats.creds": base64.b64encode(self.text.encode()).decode()}
        return Unstructured(self.secrets[key].metadata, {"kind": "Secret", "type": "Opaque", "data": data})

    # What applies the children.
    async def apply(self, item, config, children, facts, tell):
        assert isinstance(facts, Facts)
        if self.refusal is not None:
            raise SpecError(self.refusal)
        self.facts = facts
        self.declared = self.pools.get(item.metadata.key)
        return self.whole

    def forget(self, key):
        self.forgotten.append("children")

    # What writes the status.
    async def show(self, item, conditions, fields=None, *, keep=False, reports=()):
        self.reports, self.kept = list(reports), keep
        self.said |= {one.type: (one.status, one.reason, one.message) for one in conditions}
        self.fields = fields or {}

    async def show_paused(self, item):
        self.said["Paused"] = ("True", "Paused", "")

    async def refuse(self, item, problems, others=(), fields=None):
        self.said["Stalled"] = ("True", problems[0].reason, "; ".join(str(problem) for problem in problems))
        await self.show(item, others, fields)


@pytest_asyncio.fixture
async def site():
    async with in_one_task(Lattices(gate=AlwaysOpen(), clock=VirtualClock())) as lattices:
        yield Site(Pools(lattices))


async def test_a_config_that_takes_the_name_of_another_at_once_is_in_its_lattice(site):
    site.config("u1")
    await site.look()
    lattice = site.pools.get(KEY).lattice
    site.config("u2")  # deleted and made anew between two looks
    await site.look()
    assert site.pools.get(KEY).uid == "u2"
    assert site.pools.get(KEY).lattice is lattice


async def test_a_fault_of_a_secret_that_only_nats_finds_is_about_the_secret_as_well(site):
    site.creds(DAMAGED)
    site.config(secretName="keys")
    message = ".spec.secretName: Secret keys: nats.creds: the user seed is damaged"
    usable = Result.waiting(f"Secrets that can be used: {message}")
    assert await site.look() == usable  # its watch reports it
    assert site.said["Stalled"] == ("True", "SecretContentInvalid", message)
    assert site.said["SecretsValid"] == ("False", "SecretContentInvalid", message)
    site.said.clear()
    assert await site.look() == usable  # nothing has changed, and it is not forgotten
    assert site.said["SecretsValid"][0] == "False"


async def test_a_refused_spec_shows_that_the_secrets_are_valid(site):
    site.config(secretName="keys")
    await site.look()
    assert site.said["SecretsValid"][:2] == ("False", "SecretNotFound")
    site.config()
    site.refusal = REFUSED
    assert await site.look() == Result.waiting("what is refused to be mended: .spec.image: no", RETRY_SECONDS)
    assert site.said["SecretsValid"][0] == "True"
    assert site.said["Stalled"][1] == "DeploymentRefused"


@pytest.mark.parametrize("refusal", ["of the API server", "a missing Secret", "an unknown field"])
async def test_whatever_is_wrong_how_the_running_pods_do_is_said(site, refusal):
    site.deployment("u1", ready=1)
    if refusal == "of the API server":
        site.refusal = REFUSED
    site.config(**{"a missing Secret": {"secretName": "keys"}, "an unknown field": {"new": 1}}.get(refusal, {}))
    for ready, works in ((1, "True"), (0, "False")):
        site.deployment("u1", ready)
        await site.look()
        assert site.said["Stalled"][0] == "True"
        assert site.said["WorkloadAvailable"][0] == works
        assert site.fields == {"replicas": 1, "readyReplicas": ready}


async def test_of_a_workload_that_is_somebody_elses_nothing_is_said(site):
    site.deployment("somebody", ready=1)
    site.refusal = REFUSED
    site.config()
    await site.look()
    assert "WorkloadAvailable" not in site.said
    assert site.fields == {}


async def test_a_look_that_ends_early_says_what_it_waits_for(site):
    site.config()
    assert await site.look() == DONE
    site.whole = False
    assert await site.look() == Result.waiting("news of the workload, which was changed just now")
    site.configs[KEY] = replace(site.configs[KEY], metadata=replace(site.configs[KEY].metadata, annotations=PAUSED))
    assert await site.look() == Result.waiting("the end of the pause (annotation k8s.wasmcloud.dev/paused)")


@pytest.mark.parametrize("known", [True, False], ids=["seen before", "since the start"])
async def test_a_config_that_cannot_be_read_is_not_taken_for_deleted(site, known):
    site.config()
    await site.look()
    pool = site.pools.get(KEY)
    assert pool is not None
    if not known:
        del site.configs[KEY]
    site.configs.unreadable[KEY] = "2"
    site.said = {}
    result = await site.look()
    assert result.waits_for == "a state of the object that can be read"
    assert (site.pools.get(KEY), site.said) == (pool, {})
    site.configs.clear()
    site.configs.unreadable.clear()
    await site.look()
    assert site.pools.get(KEY) is None


async def test_a_config_that_is_going_takes_its_pool_along(site):
    site.config()
    await site.look()
    site.forgotten.clear()
    site.annotate({}, deletion_timestamp="2026-01-01T00:00:00Z")
    assert await site.look() == DONE
    assert site.pools.get(KEY) is None
    assert site.rust.asked[-2:] == ["release", "forget"]
    assert set(site.forgotten) == {"children", "registries"}


async def test_a_config_that_is_gone_takes_its_pool_along(site):
    site.config()
    await site.look()
    del site.configs[KEY]
    assert await site.look() == DONE
    assert site.pools.get(KEY) is None
    assert site.rust.asked[-1] == "forget"
    assert "release" not in site.rust.asked


async def test_a_new_config_of_the_same_name_inherits_no_memory(site):
    site.config("u1")
    await site.look()
    site.forgotten.clear()
    await site.look()
    assert "children" not in site.forgotten
    site.config("u2")
    await site.look()
    assert "children" in site.forgotten


async def test_a_paused_pool_is_in_its_lattice_and_nothing_of_it_is_applied(site):
    site.config()
    site.annotate(PAUSED)
    site.refusal = REFUSED  # it would be shown
    await site.look()
    assert site.pools.get(KEY).lattice.name == "blue"
    assert site.said == {"Paused": ("True", "Paused", "")}
    item = site.configs[KEY]
    site.configs[KEY] = replace(item, spec={**item.spec, "lattice": "green"})
    await site.look()
    assert site.pools.get(KEY).lattice.name == "blue", "it stays where it was when it was paused"


async def test_a_paused_pool_whose_secret_is_missing_is_in_no_lattice(site):
    site.config(secretName="keys")
    site.annotate(PAUSED)
    await site.look()
    assert site.pools.get(KEY) is None


async def test_beside_the_operator_written_in_rust_nothing_is_applied(site):
    site.config()
    site.rust.runs = True
    assert (await site.look()).requeue_after == RIVAL_SECONDS
    assert site.said["Stalled"][1] == "OtherOperatorRuns"
    assert site.rust.asked == []
    assert not hasattr(site, "facts")


async def test_the_pool_is_in_its_lattice_before_its_children_are_applied(site):
    site.config()
    await site.look()
    assert site.declared is not None


async def test_objects_of_the_rust_operator_go_once_the_hosts_have_rolled_out(site):
    site.config()
    site.deployment("u1", ready=0)
    await site.look()
    assert site.rust.asked == [("take over", True), ("clean up", False)]
    assert site.events == []
    site.deployment("u1", ready=1)
    site.rust.cleaned = True
    await site.look()
    assert site.rust.asked[-1] == ("clean up", True)
    assert site.events == ["Adopted"]


async def test_the_service_of_leaf_nodes_stays_where_the_operator_written_in_rust_had_one(site):
    site.config()
    for owner, annotated, kept in (
        ("u1", {}, False),
        ("u1", {naming.ADOPTED: "true"}, True),
        ("somebody", {naming.ADOPTED: "true"}, False),
    ):
        site.service(owner, annotated)
        await site.look()
        assert site.facts.leaf_service_kept is kept
    site.annotate({}, finalizers=(FINALIZER,))
    await site.look()
    assert site.facts.leaf_service_kept


async def test_of_other_budgets_only_those_for_the_pools_pods_and_of_others_count(site):
    def budget(name, owner, labels):
        owners = [{"kind": "WasmCloudHostConfig", "name": "pool", "uid": owner, "controller": True}]
        metadata = {"name": name, "namespace": "ns", "ownerReferences": owners}
        return Unstructured.from_body({"metadata": metadata, "spec": {"selector": {"matchLabels": labels}}})

    site.config(hostReplicas=2, podDisruptionBudget={"maxUnavailable": 1})
    site.budgets += [budget("mine", "u1", {}), budget("of-others", "x", {"app": "another"})]
    await site.look()
    assert site.facts.other_budget == ""
    assert "Warnings" not in site.said
    site.budgets.append(budget("second", "x", {}))
    await site.look()
    assert site.facts.other_budget == "second"
    assert site.said["Warnings"][1] == "SecondBudget"


@pytest.mark.parametrize(("noted", "size"), [("4096", 4096), ("", DEFAULT_PAYLOAD), ("9" * 12, DEFAULT_PAYLOAD)])
async def test_while_the_hub_is_away_the_largest_message_is_what_was_noted(site, noted, size):
    metadata = {"name": "pool", "namespace": "ns", "annotations": {naming.MAX_PAYLOAD: noted}}
    site.workloads[CONFIG_MAP][KEY] = Unstructured.from_body({"metadata": metadata})
    site.config()
    await site.look()
    assert site.facts.max_payload == size


async def test_whatever_there_is_to_warn_of_is_said(site):
    site.config()
    await site.look()
    assert "Warnings" not in site.said
    contested, unowned = Problem("SetBack", "", "by kubectl"), Problem("Conflict", "", "in the way")
    site.contests = ([contested], 7.0)
    site.reconciler.unowned.put(Key("ns", "app"), [(site.pools.get(KEY).lattice, unowned)])
    assert (await site.look()).requeue_after == 7.0
    assert site.said["Warnings"] == ("True", "SetBack", f"{contested}; {unowned}")
    assert site.reports, "an Event goes with it"


async def test_why_pods_of_a_daemon_set_are_not_made_is_asked_for_where_some_are_missing(site):
    refused = PodReason("FailedCreate", "no quota")
    site.pods_refused = refused
    site.config(daemonset=True)
    site.daemon_set(wanted=2, there=2)
    assert await site.look() == DONE
    assert "no quota" not in site.said["Reconciling"][2]
    site.daemon_set(wanted=2, there=1)
    assert (await site.look()).requeue_after == 10.0
    assert site.said["Reconciling"][1] == "FailedCreate"


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
        assert ("nobody answers" in site.said["Reconciling"][2]) is named


async def test_a_failure_that_is_no_fault_of_the_config_leaves_the_rest_of_the_status(site):
    site.config()
    await site.reconciler.report(KEY, ValueError("no"))
    assert site.said["Ready"][:2] == ("Unknown", "ReconcileFailed")
    assert site.kept
    for ended in ({}, PAUSED):
        site.said.clear()
        site.annotate(ended, deletion_timestamp=None if ended else "2026-01-01T00:00:00Z")
        await site.reconciler.report(KEY, ValueError("no"))
        assert site.said == {}


async def test_a_secret_that_only_nats_finds_wrong_leaves_the_pool_where_it_was(site):
    site.config()
    await site.look()
    lattice = site.pools.get(KEY).lattice
    site.config(secretName="keys")
    await site.look()
    assert site.said["SecretsValid"][:2] == ("False", "SecretNotFound")
    assert site.pools.get(KEY).lattice is lattice


async def test_a_workload_is_ready_once_its_hosts_are_in_the_lattice(site):
    site.config()
    site.deployment("u1", ready=0)
    await site.look()
    assert site.said["Reconciling"][1] == "RollingOut"
    site.deployment("u1", ready=1)
    await site.look()
    assert site.said["Reconciling"][1] == "HostsNotKnown"
    connection = SimpleNamespace(connected=True, connecting=False, message="")
    site.lattice_seen = SimpleNamespace(connection=connection, lattice="blue", hosts=("N1",))
    await site.look()
    assert site.said["Ready"][:2] == ("True", "HostsInLattice")


async def test_running_hosts_learn_their_registries_once_where_their_environment_does_not_have_them(site):
    site.config()
    await site.look()
    spec = parsed(site.configs[KEY]).spec
    keep = site.reconciler._keep_told
    site.forgotten.clear()
    for registries, due, told in (
        (("a", "b"), True, [KEY]),
        (("a", "b"), False, []),
        (("a",), True, []),
        ((), True, []),
    ):
        site.told.clear()
        site.registries_due = due
        keep(KEY, spec, Facts(registries=registries))
        assert site.told == told
    assert site.forgotten == ["registries", "registries"]


async def test_of_a_leaf_service_that_stays_open_beside_credentials_is_warned(site):
    site.config(natsAddress="nats://me:secret@127.0.0.1:9")
    site.annotate({}, finalizers=(FINALIZER,))
    await site.look()
    assert site.said["Warnings"][1] == "LeafServiceOpen"


async def test_of_a_setting_that_has_no_effect_is_warned(site):
    site.config(version="0.80.0", secretsTopicPrefix="mine")
    await site.look()
    assert site.said["Warnings"][1] == "HostTooOld"


async def test_a_reason_of_a_pod_comes_before_why_others_are_not_made(site, monkeypatch):
    site.pods_refused = PodReason("FailedCreate", "no quota")
    monkeypatch.setattr(reconciler, "first_reason", lambda _: PodReason("ImagePullBackOff", "pod p"))
    site.config(daemonset=True)
    site.daemon_set(wanted=2, there=1)
    await site.look()
    assert site.said["Reconciling"][1] == "ImagePullBackOff"
