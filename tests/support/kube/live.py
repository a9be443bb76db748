"""The machinery on a real API server: a client of a kubeconfig, informers that run, and what they reported."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from testbed import Admin, eventually
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import CONFIG_MAP, Resource
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport


class KubeLive:
    """Everything that one process has: a client, metrics, tasks."""

    def __init__(self, client: Writer, metrics: Metrics) -> None:
        self.client = client
        self.metrics = metrics
        self.changes: list[Change[Unstructured]] = []
        self.tasks: list[asyncio.Task[None]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, kubeconfig: Path) -> AsyncIterator[KubeLive]:
        options = ConnectionOptions(credentials=Credentials(kubeconfig=kubeconfig), user_agent="kube-tests")
        async with Transport.open(options) as transport:
            metrics = Metrics()
            live = cls(
                Writer(Reader(transport, metrics=metrics), field_manager="kube-tests", gate=AlwaysOpen()), metrics
            )
            try:
                yield live
            finally:
                for task in live.tasks:
                    task.cancel()
                await asyncio.gather(*live.tasks, return_exceptions=True)

    def start(self, coroutine) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self.tasks.append(task)
        return task

    def informer(self, resource: Resource = CONFIG_MAP, codec=UNSTRUCTURED, **settings) -> Informer:
        """An informer that runs; its changes are recorded."""
        informer = Informer.on_api(self.client, resource, codec, clock=SYSTEM_CLOCK, metrics=self.metrics, **settings)
        informer.on_change(lambda change, _: self.changes.append(change))
        self.start(informer.run())
        return informer

    def relists(self, informer: Informer) -> float:
        return self.value("kube_informer_relists_total", resource=informer.name)

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def requests(self) -> float:
        """Requests to the API server so far, of any kind and with any answer."""
        samples = (s for m in self.metrics.registry.collect() for s in m.samples)
        return sum(s.value for s in samples if s.name == "rest_client_requests_total")

    def deletes(self, name: str) -> int:
        return sum(c.new is None and c.key.name == name for c in self.changes)


@contextlib.asynccontextmanager
async def setting_back(change: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Another controller, which sets its field again and again."""

    async def insist() -> None:
        while True:
            await change()
            await asyncio.sleep(0.05)  # its pace

    task = asyncio.create_task(insist())
    try:
        yield
        assert not task.done(), "the other has given up"
    finally:
        task.cancel()
        await asyncio.wait([task])


async def patch_nested(admin: Admin, path: str, body: str, levels: int) -> None:
    """A merge patch in which NESTED is an object of so many levels, which Python's json cannot write."""
    nested = '{"x":' * levels + "{}" + "}" * levels
    headers = {"Content-Type": "application/merge-patch+json"}
    async with (
        admin._use_session() as session,
        session.patch(path, data=body.replace("NESTED", nested), headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def live_now(informer: Informer, timeout: float = 60) -> None:
    """Wait until the informer has listed and follows."""
    await eventually(lambda: informer.synced and not informer.problem, timeout=timeout, message=repr(informer))


def names(informer: Informer, namespace: str) -> set[str]:
    """The names of the cached objects of a namespace, without what Kubernetes puts into each."""
    cached = {obj.metadata.name for obj in informer.store if obj.metadata.namespace == namespace}
    return cached - {"kube-root-ca.crt"}


def config_map(name: str, namespace: str, **data: str) -> dict:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def allow(admin: Admin, user: str, namespace: str) -> None:
    """A Role for config maps and its binding, both named after the user; in force when this returns."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    api = "rbac.authorization.k8s.io"
    metadata = {"name": user, "namespace": namespace}
    await admin.apply({"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    await admin.apply(
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": user},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        }
    )
    asked = {"namespace": namespace, "verb": "list", "resource": "configmaps"}
    spec = {"user": user, "resourceAttributes": asked}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}

    async def in_force() -> bool:
        return bool((await admin.create(review))["status"].get("allowed"))

    await eventually(in_force)
