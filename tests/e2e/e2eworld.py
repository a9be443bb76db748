"""What the journeys find in the cluster and do there, in the words of the README."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import yaml
from e2ecluster import Cluster, Provider
from nats.aio.client import Client as NatsClient

from testbed import Admin, eventually, is_true
from testbed.admin import Object, Objects
from testbed.build import Progress
from testbed.cache import ensure
from testbed.node import helloregistry, images
from testbed.node.operatorimage import operator_image, operator_image_by_docker

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).parent / "manifests"
CONFIG = "k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig"
APPLICATION = "core.oam.dev/v1beta1/Application"
DEPLOYMENT = "apps/v1/Deployment"
OPERATOR = "wasmcloud-operator"
GREETING = "Hello from Python, you asked for "


@dataclass
class World:
    """A cluster with NATS, wadm, a registry, the operator, and a pod to ask from."""

    cluster: Cluster
    progress: Progress
    took: dict[str, float] = field(default_factory=dict)  # seconds that each part of the installation took

    @property
    def admin(self) -> Admin:
        return self.cluster.admin

    @property
    def timing(self) -> str:
        """How long each part of the installation took."""
        return ", ".join(f"{part} {seconds:.0f} s" for part, seconds in self.took.items())

    # --- installing ---------------------------------------------------------------------------------------------------

    async def load_images(self) -> None:
        """The images that no registry has; on a real node also those that a registry would have."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="e2e-images-") as folder:
            archives = [
                await self._operator_image(Path(folder, "operator.tar")),
                await helloregistry.registry_image(Path(folder, "registry.tar")),
            ]
            if not self.cluster.pulls:
                archives += [
                    await images.nats_image(Path(folder, "nats.tar")),
                    await images.wadm_image(Path(folder, "wadm.tar")),
                    await images.host_image(Path(folder, "host.tar"), *_host_versions()),
                    images.curl_image(Path(folder, "curl.tar")),
                ]
            for archive in archives:
                await self.cluster.load(archive)
        self.took["images"] = time.monotonic() - started

    async def _operator_image(self, target: Path) -> Path:
        if self.cluster.provider is Provider.KIND:
            return await operator_image_by_docker(target, self.progress)
        return await operator_image(self.progress)

    async def install_lattice(self) -> None:
        """NATS with leaf nodes, wadm, the registry, and the pod that asks."""
        started = time.monotonic()
        files = [MANIFESTS / f"{name}.yaml" for name in ("nats", "wadm", "registry", "client")]
        await self.admin.apply_files(*files)
        await self.admin.wait_for("apps/v1/StatefulSet", "nats-cluster", "default", _all_ready, timeout=120)
        for name in ("wadm", "registry"):
            await self.available(name, "default", timeout=120)
        await self.admin.wait_for("v1/Pod", "client", "default", lambda pod: is_true(pod, "Ready"), timeout=120)
        self.took["NATS, wadm"] = time.monotonic() - started

    async def install_operator(self) -> None:
        """`kubectl apply --server-side -k manifests`, as the README has it."""
        started = time.monotonic()
        await self.cluster.kubectl("apply", "--server-side", "-k", str(ROOT / "manifests"))
        await self.available(OPERATOR, OPERATOR, timeout=120)
        self.took["operator"] = time.monotonic() - started

    async def available(self, deployment: str, namespace: str, *, timeout: float) -> None:
        await self.admin.wait_for(DEPLOYMENT, deployment, namespace, _all_ready, timeout=timeout)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def get(self, url: str) -> str:
        """What a pod of the cluster gets from `url`. Raises `CommandFailed` for everything but 200."""
        curl = ("curl", "--silent", "--show-error", "--fail", "--max-time", "3", url)
        return await self.cluster.kubectl("exec", "-n", "default", "client", "--", *curl)

    async def answers(self, url: str, *, timeout: float = 90) -> str:
        """The first answer from `url`."""
        return await eventually(lambda: self.get(url), timeout=timeout, interval=0.5, message=f"an answer from {url}")

    async def host_pods(self, namespace: str) -> Objects:
        """The host pods of a namespace that are not on their way out."""
        pods = await self.admin.list("v1/Pod", namespace, labels="app.kubernetes.io/name=wasmcloud")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    async def serving(self, namespace: str, service: str) -> set[str]:
        """The pods that a Service leads to now."""
        slices = await self.admin.list(
            "discovery.k8s.io/v1/EndpointSlice", namespace, labels=f"kubernetes.io/service-name={service}"
        )
        found = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
        return {endpoint["targetRef"]["name"] for endpoint in found if endpoint["conditions"].get("ready")}

    @asynccontextmanager
    async def nats(self) -> AsyncIterator[NatsClient]:
        """A connection to the hub, through the API server: what `wash` has with `kubectl port-forward`."""
        program = await ensure("kubectl")
        forward = await asyncio.create_subprocess_exec(
            *(str(program), "--kubeconfig", str(self.cluster.kubeconfig), "-n", "default"),
            *("port-forward", "--address", "127.0.0.1", "svc/nats-cluster", ":4222"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert forward.stdout is not None
            async with asyncio.timeout(20):
                line = (await forward.stdout.readline()).decode()
            port = line.partition("127.0.0.1:")[2].split()[0]  # Forwarding from 127.0.0.1:40001 -> 4222
            client = await nats.connect(f"nats://127.0.0.1:{port}", connect_timeout=10)
            try:
                yield client
            finally:
                await client.close()
        finally:
            forward.terminate()
            await forward.wait()

    async def ask_wadm(self, lattice: str, operation: str, body: object = None) -> Any:
        """wadm's answer, as `wash app …` gets it: `get`, `put`, `deploy.NAME`, `del.NAME` …"""
        async with self.nats() as client:
            payload = b"" if body is None else json.dumps(body).encode()
            answer = await client.request(f"wadm.api.{lattice}.model.{operation}", payload, timeout=10)
            return json.loads(answer.data)

    async def metrics(self) -> str:
        """The metrics of the operator's pods, one after the other."""
        pods = await self.admin.list("v1/Pod", OPERATOR, labels="app.kubernetes.io/component=operator")
        path = f"/api/v1/namespaces/{OPERATOR}/pods/{{}}:8080/proxy/metrics"
        return "\n".join([await self.admin.request("GET", path.format(pod["metadata"]["name"])) for pod in pods])

    # --- doing --------------------------------------------------------------------------------------------------------

    async def apply_hosts(self, namespace: str, **spec: object) -> None:
        """The pool of manifests/hosts.yaml in a namespace, in a lattice of its name, with further fields."""
        config, login = documents("hosts.yaml")
        config["metadata"]["namespace"] = login["metadata"]["namespace"] = namespace
        config["spec"] |= {"lattice": namespace, **spec}
        await self.admin.apply(login)
        await self.admin.apply(config)

    async def hosts_ready(self, namespace: str, name: str = "my-wasmcloud-cluster", *, timeout: float = 120) -> Object:
        found = await self.admin.wait_for(
            CONFIG, name, namespace, _ready_and_seen, timeout=timeout, message="the pool to be Ready"
        )
        assert found is not None
        return found

    async def apply_application(self, manifest: Object) -> None:
        await self.admin.apply(manifest)

    async def application_ready(self, namespace: str, name: str = "hello-python", *, timeout: float = 120) -> Object:
        found = await self.admin.wait_for(
            APPLICATION, name, namespace, _ready_and_seen, timeout=timeout, message="the application to be Ready"
        )
        assert found is not None
        return found


def documents(name: str) -> Objects:
    """The documents of one of the manifests."""
    return [doc for doc in yaml.safe_load_all((MANIFESTS / name).read_text()) if doc]


def hello(namespace: str, *, name: str = "hello-python", port: int = 8000) -> Object:
    """The application of manifests/hello.yaml."""
    (manifest,) = documents("hello.yaml")
    manifest["metadata"] |= {"name": name, "namespace": namespace}
    text = yaml.safe_dump(manifest).replace("0.0.0.0:8000", f"0.0.0.0:{port}")
    return yaml.safe_load(text)  # type: ignore[no-any-return]


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
    return [documents("hosts.yaml")[0]["spec"]["version"]]


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
    await world.admin.create_namespace(name)
    try:
        yield name
    finally:
        for kind in (APPLICATION, CONFIG):
            await world.admin.delete_all(kind, name)
            await eventually(lambda kind=kind: _none_left(world, kind, name), timeout=60, interval=0.5)
        await world.admin.delete("v1/Namespace", name)


async def _none_left(world: World, kind: str, namespace: str) -> bool:
    return not await world.admin.list(kind, namespace)
