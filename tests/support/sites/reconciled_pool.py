"""The reconciler of host configs with real pools; the cluster, the children and the status are in memory."""

from __future__ import annotations

import base64
from types import SimpleNamespace

from msgspec.structs import replace

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.platform import Platform
from wasmcloud_operator.hostpool.reconciler import HostConfigReconciler
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.hostpool.renderings import Renderings
from wasmcloud_operator.kube.objects import CustomResource, Metadata, ObjectMeta, Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SERVICE, Key
from wasmcloud_operator.legacy.hostpools import RustPools
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem, SpecError
from wasmcloud_operator.shared.unowned_problems import UnownedProblems

KEY = Key("ns", "pool")
SPEC = {"lattice": "blue", "version": "1.6.0", "natsAddress": "nats://127.0.0.1:9"}
PAUSED = {"k8s.wasmcloud.dev/paused": "true"}
REFUSED = Problem(Reason.DEPLOYMENT_REFUSED, ".spec.image", "no")


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


class PoolSite:
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
        self.conditions, self.fields, self.kept, self.reports, self.events = {}, {}, False, [], []
        self.pods_refused, self.lattice_seen, self.contests = None, None, ([], None)
        self.pods, self.budgets, self.sent, self.forgotten = [], [], [], []
        self.registries_due, self.rust = True, Rust()
        watch = SimpleNamespace(synced_in=lambda _: True, store=self.secrets)
        kinds = {kind: SimpleNamespace(informer=SimpleNamespace(store=held)) for kind, held in self.workloads.items()}
        self.reconciler = HostConfigReconciler(
            configs=SimpleNamespace(store=self.configs),
            kinds=kinds,
            reader=ReferenceReader(self, watch, watch, Platform()),
            renderings=Renderings(VirtualClock()),
            children=self,
            registries=SimpleNamespace(
                forget=lambda _: self.forgotten.append("registries"), due=lambda *_: self.registries_due
            ),
            rust=self.rust,
            pools=pools,
            status=self,
            hosts_in_pods=SimpleNamespace(pods_of=lambda _: self.pods),
            unowned=UnownedProblems(),
            budgets=SimpleNamespace(store=SimpleNamespace(by_index=lambda *_: self.budgets)),
            refusal_of_pods=self.refusal_of_pods,
            send_registries=self.sent.append,
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
    async def find(self, resource, key):
        if key not in self.secrets:
            return None
        data = {"nats.creds": base64.b64encode(self.text.encode()).decode()}
        return Unstructured(self.secrets[key].metadata, {"kind": "Secret", "type": "Opaque", "data": data})

    # What applies the children.
    async def apply(self, item, config, children, facts, record_event):
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
        self.conditions |= {one.type: (one.status, one.reason, one.message) for one in conditions}
        self.fields = fields or {}

    async def show_paused(self, item):
        self.conditions["Paused"] = ("True", "Paused", "")

    async def refuse(self, item, problems, others=(), fields=None):
        self.conditions["Stalled"] = ("True", problems[0].reason, "; ".join(str(problem) for problem in problems))
        await self.show(item, others, fields)
