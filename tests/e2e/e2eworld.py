"""What the journeys find in the cluster and do there, in the words of the README."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import yaml
from e2ecluster import Cluster, Provider
from e2etimeline import Timeline, recording
from e2everdicts import APPLICATION, CONFIG, Verdicts, judging
from nats.aio.client import Client as NatsClient

from testbed import Admin, eventually, is_true
from testbed.admin import Object, Objects
from testbed.build import Progress
from testbed.cache import ensure
from testbed.node import helloregistry, images
from testbed.node.operatorimage import operator_image, operator_image_by_docker

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).parent / "manifests"
DEPLOYMENT = "apps/v1/Deployment"
OPERATOR = "wasmcloud-operator"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
POOL = "my-wasmcloud-cluster"
GREETING = "Hello from a small component"


@dataclass
class World:
    """A cluster with NATS, wadm, a registry, the operator, and a pod to ask from."""

    cluster: Cluster
    progress: Progress
    took: dict[str, float] = field(default_factory=dict)  # seconds that each part of the installation took
    verdicts: dict[str, Verdicts] = field(default_factory=dict)  # on what is in each journey's namespace
    timelines: dict[str, Timeline] = field(default_factory=dict)  # of each journey's namespace

    @property
    def admin(self) -> Admin:
        return self.cluster.admin

    @property
    def timing(self) -> str:
        """How long each part of the installation took."""
        return ", ".join(f"{part} {seconds:.0f} s" for part, seconds in self.took.items())

    # --- installing ---------------------------------------------------------------------------------------------------

    async def install(self) -> None:
        """NATS, wadm, the operator, a registry, and the pod that asks; each image while the others are at work."""
        with tempfile.TemporaryDirectory(prefix="e2e-images-") as folder:
            async with self._on_the_first_node(), asyncio.TaskGroup() as group:
                lattice = group.create_task(self._install_lattice(Path(folder)))
                group.create_task(self._install_operator(Path(folder), lattice))

    @asynccontextmanager
    async def _on_the_first_node(self) -> AsyncIterator[None]:
        """Closes the other nodes of kind meanwhile: journeys take them away, with all that is on them."""
        nodes = await self.admin.list("v1/Node") if self.cluster.docker is not None else []
        others = [node["metadata"]["name"] for node in nodes if CONTROL_PLANE not in node["metadata"]["labels"]]
        for node in others:
            await self.cluster.kubectl("cordon", node)
        yield
        for node in others:
            await self.cluster.kubectl("uncordon", node)

    async def _install_lattice(self, folder: Path) -> None:
        """NATS with leaf nodes, then wadm; the registry, and the pod that asks."""
        started = time.monotonic()
        await self._load(helloregistry.registry_image, folder / "registry.tar")
        if not self.cluster.pulls:
            await self._load(images.nats_image, folder / "nats.tar")
            await self._load(images.wadm_image, folder / "wadm.tar")
            await self._load(images.curl_image, folder / "curl.tar")
        self.took["images"] = time.monotonic() - started
        started = time.monotonic()
        await self.admin.apply_files(*(MANIFESTS / f"{name}.yaml" for name in ("nats", "registry", "client")))
        await self.hub_ready("default")
        await self.admin.apply_files(MANIFESTS / "wadm.yaml")
        for name in ("wadm", "registry"):
            await self.available(name, "default")
        await self.admin.wait_for("v1/Pod", "client", "default", lambda pod: is_true(pod, "Ready"), timeout=300)
        self.took["NATS, wadm"] = time.monotonic() - started

    async def _install_operator(self, folder: Path, lattice: asyncio.Task[None]) -> None:
        """`kubectl apply --server-side -k manifests`, as the README has it, once NATS and wadm are there."""
        started = time.monotonic()
        if self.cluster.provider is Provider.KIND and self.cluster.pulls:
            await self.cluster.load(await operator_image_by_docker(folder / "operator.tar", self.progress))
        else:
            await self.cluster.load(await operator_image(self.progress))
        if not self.cluster.pulls:
            await self._load(functools.partial(images.host_image, versions=_host_versions()), folder / "host.tar")
        self.took["operator's and host's image"] = time.monotonic() - started
        await asyncio.wait([lattice])
        started = time.monotonic()
        await self.cluster.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests"))
        await self.available(OPERATOR, OPERATOR)
        self.took["operator"] = time.monotonic() - started

    async def _load(self, assemble: Callable[[Path], Awaitable[Path]], archive: Path) -> None:
        await self.cluster.load(await assemble(archive))

    async def hub_ready(self, namespace: str) -> None:
        await self.admin.wait_for("apps/v1/StatefulSet", "nats-cluster", namespace, _all_ready, timeout=300)

    async def available(self, deployment: str, namespace: str) -> None:
        await self.admin.wait_for(DEPLOYMENT, deployment, namespace, _all_ready, timeout=300)

    async def install_own(self, namespace: str, server: str, changed: Callable[[Objects], None] | None = None) -> None:
        """`nats`, `wadm` or `registry` in a journey's own namespace, changed as that journey wants it."""
        wanted = documents(f"{server}.yaml", namespace, own=("nats-cluster",))
        if changed:
            changed(wanted)
        for obj in wanted:
            await self.admin.apply(obj)
        if server == "nats":
            await self.hub_ready(namespace)
        else:
            await self.available(server, namespace)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def get(self, url: str) -> str:
        """What a pod of the cluster gets from `url`. Raises `CommandFailed` for everything but 200."""
        curl = ("curl", "--silent", "--show-error", "--fail", "--max-time", "3", url)
        return await self.cluster.kubectl("exec", "-n", "default", "client", "--", *curl)

    async def answers(self, url: str, *, timeout: float = 400) -> str:
        """The first answer from `url`."""
        return await eventually(lambda: self.get(url), timeout=timeout, interval=0.5, message=f"an answer from {url}")

    async def host_pods(self, namespace: str, name: str = POOL) -> Objects:
        """The pods of a pool that are not on their way out."""
        labels = f"app.kubernetes.io/name=wasmcloud,app.kubernetes.io/instance={name}"
        pods = await self.admin.list("v1/Pod", namespace, labels=labels)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    async def serving(self, namespace: str, service: str) -> set[str]:
        """The pods that a Service leads to now."""
        slices = await self.admin.list(
            "discovery.k8s.io/v1/EndpointSlice", namespace, labels=f"kubernetes.io/service-name={service}"
        )
        found = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
        return {endpoint["targetRef"]["name"] for endpoint in found if endpoint["conditions"].get("ready")}

    async def all_serve(self, namespace: str, service: str = "hello-python") -> bool:
        """Whether the Service leads to every pod of the pool, and to nothing else."""
        pods = names(await self.host_pods(namespace))
        return bool(pods) and await self.serving(namespace, service) == pods

    async def live_hosts(self, namespace: str, number: int, name: str = POOL) -> bool:
        """Whether a pool is that many pods, and the lattice knows as many hosts of it."""
        pool = await self.admin.get(CONFIG, name, namespace)
        pods = await self.host_pods(namespace, name)
        return len(pods) == number and (pool.get("status") or {}).get("hostCount") == number

    @asynccontextmanager
    async def nats(self, hub: str = "default", **options: Any) -> AsyncIterator[NatsClient]:
        """A connection to the hub of a namespace, as `wash` has it with `kubectl port-forward`."""
        program = await ensure("kubectl")
        forward = await asyncio.create_subprocess_exec(
            *(str(program), "--kubeconfig", str(self.cluster.kubeconfig), "-n", hub),
            *("port-forward", "--address", "127.0.0.1", "svc/nats-cluster", ":4222"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert forward.stdout is not None
            async with asyncio.timeout(20):
                line = (await forward.stdout.readline()).decode()
            port = line.partition("127.0.0.1:")[2].split()[0]  # Forwarding from 127.0.0.1:40001 -> 4222
            client = await nats.connect(f"nats://127.0.0.1:{port}", connect_timeout=10, **options)
            try:
                yield client
            finally:
                await client.close()
        finally:
            forward.terminate()
            await forward.wait()

    async def ask_wadm(self, lattice: str, operation: str, body: object = None, *, hub: str = "default") -> Any:
        """wadm's answer, as `wash app …` gets it: `get`, `put`, `deploy.NAME`, `del.NAME` …"""
        async with self.nats(hub) as client:
            payload = b"" if body is None else json.dumps(body).encode()
            answer = await client.request(f"wadm.api.{lattice}.model.{operation}", payload, timeout=60)
            return json.loads(answer.data)

    async def models(self, lattice: str, *, hub: str = "default") -> set[str]:
        """The applications that wadm has in a lattice."""
        answer = await self.ask_wadm(lattice, "get", hub=hub)
        assert answer["result"] == "success", f"wadm did not list its applications: {answer}"
        return {model["name"] for model in answer.get("models") or []}

    async def metrics(self) -> str:
        """The metrics of the operator's pods, one after the other."""
        path = f"/api/v1/namespaces/{OPERATOR}/pods/{{}}:8080/proxy/metrics"
        return "\n".join([await self.admin.request("GET", path.format(name)) for name in await self._operator_pods()])

    async def operator_log(self) -> str:
        """What the operator's pods have logged, one after the other."""
        pods = await self._operator_pods()
        return "\n".join([await self.cluster.kubectl("logs", "-n", OPERATOR, name) for name in pods])

    async def what_happened(self, namespace: str) -> str:
        """The timeline of a journey's namespace, what its pods have logged last, and the operator's words about it."""
        parts = ["\n".join(self.timelines[namespace].lines)]
        for name in sorted(names(await self.admin.list("v1/Pod", namespace))):
            logged = ("logs", "-n", namespace, name, "--all-containers", "--timestamps", "--tail=200")
            parts.append(f"{name}:\n{await self.cluster.kubectl(*logged, accepts=(0, 1))}")
        lines = [line for line in (await self.operator_log()).splitlines() if namespace in line]
        parts.append("operator:\n" + "\n".join(lines[-80:]))
        return "\n\n".join(parts)

    async def _operator_pods(self) -> set[str]:
        return names(await self.admin.list("v1/Pod", OPERATOR, labels="app.kubernetes.io/component=operator"))

    # --- doing --------------------------------------------------------------------------------------------------------

    async def apply_hosts(self, namespace: str, name: str = POOL, *, own: Collection[str] = (), **spec: object) -> None:
        """The pool of manifests/hosts.yaml in a namespace, in a lattice of its name, with further fields."""
        login, config = documents("hosts.yaml", namespace, own=own)
        config["metadata"]["name"] = name
        config["spec"] |= {"lattice": namespace, **spec}
        await self.admin.apply(login)
        await self.admin.apply(config)

    async def hosts_ready(self, namespace: str, name: str = POOL, *, timeout: float = 400) -> Object:
        found = await self.admin.wait_for(
            CONFIG, name, namespace, _ready_and_seen, timeout=timeout, message="the pool to be Ready"
        )
        assert found is not None
        return found

    async def application_ready(self, namespace: str, name: str = "hello-python", *, timeout: float = 400) -> Object:
        found = await self.admin.wait_for(
            APPLICATION, name, namespace, _ready_and_seen, timeout=timeout, message="the application to be Ready"
        )
        assert found is not None
        return found


def documents(name: str, namespace: str = "default", *, own: Collection[str] = ()) -> Objects:
    """The documents of one of the manifests, for a namespace; the servers `own` are looked for in it too."""
    text = (MANIFESTS / name).read_text().replace("namespace: default", f"namespace: {namespace}")
    for server in own:
        text = text.replace(f"{server}.default.svc", f"{server}.{namespace}.svc")
    return [doc for doc in yaml.safe_load_all(text) if doc]


def hello(namespace: str, *, name: str = "hello-python", own: Collection[str] = ()) -> Object:
    """The application of manifests/hello.yaml, with a component that a host compiles in no time."""
    (manifest,) = documents("hello.yaml", namespace, own=own)
    manifest["metadata"]["name"] = name
    properties = manifest["spec"]["components"][0]["properties"]
    properties["image"] = properties["image"].replace("/hello-python:", "/greeter:")
    return manifest


def url(namespace: str, path: str = "/", *, service: str = "hello-python") -> str:
    """Where an application is asked, by its Service's name."""
    return f"http://{service}.{namespace}.svc.cluster.local:8000{path}"


def scaled(manifest: Object, kinds: Sequence[str], instances: Sequence[int], requirements: dict[str, str]) -> Object:
    """The application with other scalers for its component and its server, on hosts with these labels only."""
    for component, kind, number in zip(manifest["spec"]["components"], kinds, instances, strict=True):
        _, *others = component["traits"]
        properties = {"instances": number, "spread": [{"name": "chosen", "requirements": requirements}]}
        component["traits"] = [{"type": kind, "properties": properties}, *others]
    return manifest


def names(objects: Objects) -> set[str]:
    return {obj["metadata"]["name"] for obj in objects}


def restarts(pods: Objects) -> int:
    """How often containers of these pods were started anew."""
    states = [
        state
        for pod in pods
        for field in ("containerStatuses", "initContainerStatuses")
        for state in pod["status"].get(field) or []
    ]
    return sum(state["restartCount"] for state in states)


def _host_versions() -> list[str]:
    return [documents("hosts.yaml")[1]["spec"]["version"]]


def _all_ready(workload: Object | None) -> bool:
    if workload is None:
        return False
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    seen = status.get("observedGeneration") == workload["metadata"]["generation"]
    return seen and status.get("readyReplicas", 0) == wanted == status.get("updatedReplicas", 0)


def _ready_and_seen(obj: Object | None) -> bool:
    if obj is None:
        return False
    current = (obj.get("status") or {}).get("observedGeneration") == obj["metadata"]["generation"]
    return current and is_true(obj, "Ready")


@asynccontextmanager
async def namespace_of(world: World, name: str) -> AsyncIterator[str]:
    """A namespace for one journey; what is in it goes in the documented order, then the namespace."""
    if await world.admin.find("v1/Namespace", name) is None:
        await world.admin.create_namespace(name)
    async with (
        judging(world.admin, name) as world.verdicts[name],
        recording(world.admin, name) as world.timelines[name],
    ):
        try:
            yield name
        finally:
            for kind in (APPLICATION, CONFIG):
                await world.admin.delete_all(kind, name)
                await eventually(lambda kind=kind: _none_left(world, kind, name), timeout=300, interval=0.5)
            await world.admin.delete("v1/Namespace", name)


async def _none_left(world: World, kind: str, namespace: str) -> bool:
    return not await world.admin.list(kind, namespace)
