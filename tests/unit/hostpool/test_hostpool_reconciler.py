"""What a look at a host config comes to: which condition is said, and of which config."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
import pytest_asyncio
from msgspec.structs import replace

from testbed.waiting import in_one_task
from wasmcloud_operator.hostpool.apply import RETRY_SECONDS
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.problems import SpecError
from wasmcloud_operator.hostpool.reconciler import HostConfigReconciler
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.kube.objects import CustomResource, Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SERVICE, Key
from wasmcloud_operator.kube.testing import VirtualClock
from wasmcloud_operator.lattice.lattices import Lattices
from wasmcloud_operator.legacy.hostpools import RustPools
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
        self.said, self.fields = {}, {}
        watch = SimpleNamespace(synced_in=lambda _: True, store=self.secrets)
        kinds = {kind: SimpleNamespace(informer=SimpleNamespace(store=held)) for kind, held in self.workloads.items()}
        self.reconciler = HostConfigReconciler(
            SimpleNamespace(store=self.configs),
            kinds,
            ReferenceReader(self, watch, watch, Platform()),
            self,
            SimpleNamespace(forget=lambda _: None),
            RustPools(None, None, VirtualClock()),
            pools,
            self,
            SimpleNamespace(pods_of=lambda _: ()),
            UnownedProblems(),
            SimpleNamespace(store=SimpleNamespace(by_index=lambda *_: ())),
            self.refusal_of_pods,
            lambda _: None,
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
            "status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": ready, "availableReplicas": ready},
        }
        self.workloads[DEPLOYMENT][KEY] = Unstructured.from_body(body)

    def contested(self, children):
        return [], None

    async def refusal_of_pods(self, _):
        return None

    def seen(self, _):
        return None

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
        return self.whole

    def forget(self, key):
        pass

    # What writes the status.
    async def show(self, item, conditions, fields=None, *, keep=False, reports=()):
        assert not list(reports)
        self.said |= {one.type: (one.status, one.reason, one.message) for one in conditions}
        self.fields = fields or {}

    async def show_paused(self, item):
        pass

    async def refuse(self, item, problems, others=(), fields=None):
        self.said["Stalled"] = ("True", problems[0].reason, "; ".join(str(problem) for problem in problems))
        await self.show(item, others, fields)


@pytest_asyncio.fixture
async def site():
    async with in_one_task(Lattices(clock=VirtualClock())) as lattices:
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
    assert await site.look() == usable  # its watch tells
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
