"""`kubectl wasmcloud why`: faults made for real, each of which has to be the first cause that is named."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from support.lattice.jwt import Account, Operator
from support.operators.in_process import RunningOperator
from support.sites.applications import impatient
from support.sites.hostpools import NOWHERE, host_config, secret
from support.sites.services import CONFIG, ServiceSite, http_components, http_link, manifest, web
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server, eventually
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.commands.overview.details import with_details
from wasmcloud_operator.commands.overview.snapshot import take
from wasmcloud_operator.commands.page.server import causes_of
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.lattice.content import OWNER_CLUSTER, OWNER_NAME, OWNER_NAMESPACE, OWNER_UID

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSED = {"k8s.wasmcloud.dev/paused": "true"}
NATS_CREDS, SEED = "nats.creds", "WASMCLOUD_CLUSTER_SEED"


@dataclass(frozen=True)
class Scenario:
    """What is asked about, and of the first cause its subject, its field and words of its sentence.

    `at` is KIND/NAME; `where` the name of the namespace among those that `World` makes.
    """

    at: str
    subject: str
    field: str
    words: str
    where: str = ""


POOL, APPLICATION = "WasmCloudHostConfig {}/edge", "Application {}/shop"
SCENARIOS = {
    "pool paused": Scenario("application/shop", POOL, "k8s.wasmcloud.dev/paused", "is paused"),
    "application paused": Scenario("application/shop", APPLICATION, "k8s.wasmcloud.dev/paused", "is paused"),
    "wrong hub": Scenario("application/shop", POOL, "LatticeConnected", "refused"),
    "expired credentials": Scenario("pool/edge", POOL, "LatticeConnected", "expired"),
    "missing Secret": Scenario("pool/edge", POOL, "SecretsValid", "Secret nowhere does not exist"),
    "missing key of a Secret": Scenario("application/shop", POOL, "SecretsValid", NATS_CREDS),
    "image not found": Scenario("application/shop", "Pod {}/edge-", ".status", "ErrImagePull: no such image"),
    "crash": Scenario("pool/edge", "Pod {}/edge-", ".status", "CrashLoopBackOff"),
    "volume that cannot be mounted": Scenario(
        "application/shop",
        "Pod {}/edge-",
        ".status",
        'FailedMount: MountVolume.SetUp failed: configmap "gone" not found',
    ),
    "no node with room": Scenario("pool/edge", "Pod {}/edge-", ".status", "Insufficient cpu"),
    "quota": Scenario("application/shop", POOL, "Ready", "exceeded quota: none"),
    "host not in the lattice": Scenario("pool/edge", "Pod {}/edge-", ".status", "its host is not in lattice"),
    "wadm gone": Scenario("application/shop", POOL, "WadmConnected", "wadm does not list its applications"),
    "no host config": Scenario("application/shop", "Namespace {}", "", "has no host config"),
    "lattice ambiguous": Scenario("application/shop", APPLICATION, "k8s.wasmcloud.dev/lattice", "one, other"),
    "lattice that no host config has": Scenario(
        "application/shop", APPLICATION, "k8s.wasmcloud.dev/lattice", "no host config of lattice nowhere"
    ),
    "name owned by another namespace": Scenario("application/first", "Application {}/first", "Ready", "belongs to"),
    "name owned by another cluster": Scenario(
        "application/far", "Application {}/far", "Ready", "belongs to prod/far in cluster elsewhere", "site"
    ),
    "invalid manifest": Scenario("application/invalid", "Application {}/invalid", "Ready", "nobody", "site"),
    "no host matches": Scenario("application/stuck", "Application {}/stuck", "requirements", "zone=c", "site"),
    "Service of what no host matches": Scenario(
        "service/stuck", "Application {}/stuck", "requirements", "zone=c", "site"
    ),
    "port clash": Scenario("application/clash", "Application {}/clash", "Exposed", "port 8080 is also wanted", "site"),
    "loopback address": Scenario("application/local", "Application {}/local", "Exposed", "127.0.0.1:8082", "site"),
    "shared application missing": Scenario(
        "application/part", "Application {}/part", "properties.application", "application absent", "site"
    ),
}


@dataclass
class World:
    """A cluster with every fault in a namespace of its own, or among the applications of the site's lattice."""

    admin: Admin
    client: Writer
    nats: NatsServer
    without_wadm: NatsServer
    guarded: NatsServer
    expired: str
    site: ServiceSite
    token: str

    def namespace(self, name: str, where: str) -> str:
        return self.site.namespace if where == "site" else f"why-{self.token}-{name.lower().replace(' ', '-')}"

    async def pool(self, namespace: str, name: str = "edge", /, **spec: Any) -> None:
        annotations = spec.pop("annotations", {})
        given = {"lattice": namespace, "natsAddress": self.nats.url, "hostReplicas": 0, **spec}
        config = host_config(namespace, name, **given)
        config["metadata"]["annotations"] = annotations
        await self.admin.create(config)

    async def application(self, namespace: str, name: str = "shop", **annotations: str) -> None:
        made = manifest(name, [web()], annotations=annotations)
        made["metadata"]["namespace"] = namespace
        await self.admin.create(made)

    async def make(self, name: str) -> None:
        """Make one fault."""
        at = self.namespace(name, "")
        await self.admin.create_namespace(at)
        match name:
            case "pool paused":
                await self.pool(at, annotations=PAUSED)
            case "application paused":
                await self.pool(at)
            case "wrong hub":
                await self.pool(at, natsAddress=NOWHERE)
            case "expired credentials":
                await self.admin.create(secret(at, "creds", {NATS_CREDS: self.expired, SEED: "x"}))
                await self.pool(at, natsAddress=self.guarded.url, secretName="creds")
            case "missing Secret":
                await self.pool(at, secretName="nowhere")
            case "missing key of a Secret":
                await self.admin.create(secret(at, "creds", {"password": "x"}))
                await self.pool(at, secretName="creds")
            case "image not found" | "crash" | "volume that cannot be mounted" | "host not in the lattice":
                await self.pool(at, hostReplicas=1)
            case "no node with room":
                await self.pool(
                    at, hostReplicas=1, schedulingOptions={"resources": {"wasmcloud": {"requests": {"cpu": "4k"}}}}
                )
            case "quota":
                await self.quota(at)
                await self.pool(at, hostReplicas=1)
            case "wadm gone":
                await self.pool(at, natsAddress=self.without_wadm.url)
            case "lattice ambiguous":
                await self.pool(at, "edge", lattice="one")
                await self.pool(at, "far", lattice="other")
            case "lattice that no host config has":
                await self.pool(at, natsAddress=NOWHERE)
            case "name owned by another namespace":
                await self.pool(at, lattice=self.site.lattice.name)
                await self.application(at, "first")
        if SCENARIOS[name].at == "application/shop":
            steering = {"k8s.wasmcloud.dev/lattice": "nowhere"} if "no host config has" in name else {}
            await self.application(at, **(PAUSED if name == "application paused" else steering))

    async def quota(self, namespace: str) -> None:
        """No pods at all; the status is what its controller would write."""
        metadata = {"name": "none", "namespace": namespace}
        hard = {"hard": {"pods": "0"}}
        await self.admin.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": hard})
        await self.admin.patch(
            "v1/ResourceQuota", "none", namespace, {"status": {**hard, "used": {"pods": "0"}}}, subresource="status"
        )

    async def make_at_the_site(self) -> None:
        """The applications of one lattice that has one host."""
        owner = {OWNER_CLUSTER: "elsewhere", OWNER_NAMESPACE: "prod", OWNER_NAME: "far", OWNER_UID: "u"}
        await self.site.wash_run("far", [web()], annotations=owner)
        local = http_components(links=[http_link({"address": "127.0.0.1:8082"})])
        shared = {"application": {"name": "absent", "component": "x"}}
        part = {"name": "part", "type": "component", "properties": shared}
        for name, components in (
            ("first", http_components()),
            ("clash", http_components()),
            ("local", local),
            ("stuck", http_components(8081, requirements={"zone": "c"})),
            ("part", [web(), part]),
            ("far", [web()]),
            ("invalid", http_components(links=[http_link({"address": "0.0.0.0:8083"}, target="nobody")])),
        ):
            await self.site.create(name, components)

    async def spoil_pod(self, name: str, state: dict[str, Any], note: str = "") -> None:
        """As the kubelet reports of a container that does not run: simulated pods have nothing in them."""
        namespace = self.namespace(name, "")
        (pod,) = await eventually(lambda: self.ready_pods(namespace))
        conditions = [
            {**entry, "status": "False"} if entry["type"] in ("Ready", "ContainersReady") else entry
            for entry in pod["status"]["conditions"]
        ]
        container = {"name": "wasmcloud-host", "image": "x", "imageID": "", "ready": False, "restartCount": 3, **state}
        status = {"conditions": conditions, "containerStatuses": [container]}
        await self.admin.patch("v1/Pod", pod["metadata"]["name"], namespace, {"status": status}, subresource="status")
        if note:
            regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace}
            regarding |= {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
            await self.admin.create(
                {
                    "apiVersion": "events.k8s.io/v1",
                    "kind": "Event",
                    "metadata": {"name": "mount", "namespace": namespace},
                    "eventTime": "2026-01-01T00:00:00.000000Z",
                    "reportingController": "kubelet",
                    "reportingInstance": "node",
                    "action": "Mount",
                    "type": "Warning",
                    "reason": "FailedMount",
                    "note": note,
                    "regarding": regarding,
                }
            )

    async def ready_pods(self, namespace: str) -> list[Any]:
        pods = await self.admin.list("v1/Pod", namespace)
        return [pod for pod in pods if any(_holds(one) for one in pod["status"].get("conditions") or ())]


def _holds(entry: Any) -> bool:
    return bool(entry["type"] == "ContainersReady" and entry["status"] == "True")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    crds: ControlPlane, kwok: Kwok, nats_server: NatsServer, wadm: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    account = Account("APP")
    folder = tmp_path_factory.mktemp("why")
    guarded = NatsServer.start(folder / "guarded", jetstream=False, config_extra=Operator(account).server_config())
    options = ConnectionOptions(Credentials(crds.kubeconfig))
    with impatient():
        async with contextlib.AsyncExitStack() as stack:
            admin = await stack.enter_async_context(crds.admin())
            await stack.enter_async_context(RunningOperator.start(crds))
            site = await stack.enter_async_context(ServiceSite.open(admin, nats_server))
            (pod,) = await site.pods()
            await stack.enter_async_context(site.host_on(pod, heartbeat=3.0))
            transport = await stack.enter_async_context(Transport.open(options))
            made = World(
                admin,
                Writer(Reader(transport), field_manager="why", gate=AlwaysOpen()),
                nats_server,
                await stack.enter_async_context(NatsServer.start(folder / "without-wadm")),
                await stack.enter_async_context(guarded),
                account.credentials("short", lifetime=-60),
                site,
                secrets.token_hex(2),
            )
            await made.make_at_the_site()
            own = [name for name, scenario in SCENARIOS.items() if not scenario.where]
            for name in own:
                await made.make(name)
            pulling = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
            await made.spoil_pod("image not found", {"state": pulling})
            await made.spoil_pod("crash", {"state": {"waiting": {"reason": "CrashLoopBackOff"}}})
            await made.spoil_pod(
                "volume that cannot be mounted",
                {"state": {"waiting": {"reason": "ContainerCreating"}}},
                note='MountVolume.SetUp failed: configmap "gone" not found',
            )
            yield made
            for name in own:
                namespace = made.namespace(name, "")
                await admin.delete_all("core.oam.dev/v1beta1/Application", namespace)
                await admin.delete_all(CONFIG, namespace)
                await admin.delete("v1/Namespace", namespace)


@pytest.mark.parametrize("name", list(SCENARIOS))
async def test_the_true_cause_comes_first(world: World, name: str) -> None:
    scenario = SCENARIOS[name]
    namespace = world.namespace(name, scenario.where)
    kind, _, called = scenario.at.partition("/")

    async def explained() -> bool:
        seen = await with_details(world.client, await take(world.client, namespace), [Key(namespace, called)])
        causes = causes_of(seen, kind, namespace, called)
        listed = "\n".join(map(str, causes or ()))
        assert causes, "nothing is said to be wrong"
        first = causes[0]
        assert first.subject.startswith(scenario.subject.format(namespace)), listed
        assert scenario.field in first.field, listed
        assert scenario.words in first.text, listed
        assert first.command, listed
        return True

    await eventually(explained, timeout=60)


async def test_endpoints_that_are_not_ready_are_explained_by_their_pods(world: World) -> None:
    service = Key(world.namespace("crash", ""), "own")
    spec = {"selector": {"app.kubernetes.io/instance": "edge"}, "ports": [{"port": 80}]}
    metadata = {"name": service.name, "namespace": service.namespace}
    await world.admin.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    async def explained() -> bool:
        seen = await with_details(world.client, await take(world.client, service.namespace), [service])
        causes = causes_of(seen, "service", *service) or []
        assert [cause.subject.split()[0] for cause in causes] == ["Service", "Pod", "Service"], causes
        assert "that gets no requests: container wasmcloud-host: CrashLoopBackOff" in causes[1].text
        assert causes[2].text == "has no ready endpoint: its EndpointSlices list 1 and none of them is ready"
        return True

    await eventually(explained, timeout=60)
