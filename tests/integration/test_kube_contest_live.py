"""What others set back, on a real API server: another writer, a webhook, a key in an atomic map, zeros."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

from support.kube.live import KubeLive, live_now, setting_back
from testbed import Admin, eventually
from testbed.pki import Pki
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.apply import Applied, Applier, ManagedKind
from wasmcloud_operator.kube.contest import ApplyDelays, Contested, WriteTarget
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import CONFIG_MAP, DEPLOYMENT, SERVICE, Key, Resource

SHORT = ApplyDelays(first=0.5, most=4.0)
_OURS = {"owner": "us"}


class Reconciling:
    """Applies one object whenever it changes, and when the applier wants to look again: as a reconciler does."""

    def __init__(self, live: KubeLive, resource: Resource, body: JsonObject) -> None:
        metadata = body["metadata"]
        self.live, self.body = live, {**body, "metadata": {**metadata, "labels": _OURS}}
        self.key = Key(metadata["namespace"], metadata["name"])
        self.kind = ManagedKind(
            resource, live.informer(resource, namespaces=(self.key.namespace,), label_selector="owner=us")
        )
        self.applier = Applier(live.client, "kube.example.com/rendered", paced=PacedWrites(live.client, pace=SHORT))

    async def once(self) -> Applied:
        return await self.applier.apply(self.kind, self.body, lambda meta: meta.labels.get("owner") == "us")

    @property
    def contested(self) -> list[Contested]:
        return self.applier.contests.of([WriteTarget(self.kind.resource, self.key)])

    @property
    def patches(self) -> float:
        return self.live.value("rest_client_requests_total", method="PATCH", code="200")

    async def run(self) -> None:
        changed = asyncio.Event()
        self.kind.informer.on_change(lambda change, _: changed.set())
        while True:
            changed.clear()
            await self.once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.applier.contests.again([WriteTarget(self.kind.resource, self.key)])):
                    await changed.wait()


def named(reconciling: Reconciling) -> list[tuple[str, object]]:
    """The contested fields and by whom: unknown for a moment where the other's entry went with our own apply."""
    return [(one.path, one.by) for one in reconciling.contested]


def service(namespace: str, selector: dict[str, str]) -> JsonObject:
    metadata = {"name": "s", "namespace": namespace}
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def test_a_second_writer_gets_few_answers_and_is_named(live: KubeLive, admin: Admin, namespace: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": namespace},
        "data": {"value": "ours", "more": "1"},
    }
    reconciling = Reconciling(live, CONFIG_MAP, body)
    await live_now(reconciling.kind.informer)
    theirs = {key: body[key] for key in ("apiVersion", "kind", "metadata")} | {"data": {"value": "theirs"}}
    await reconciling.once()
    task = live.start(reconciling.run())
    async with setting_back(lambda: admin.apply(theirs, manager="other")):
        await eventually(lambda: named(reconciling) == [(".data.value", "other")])
        before = reconciling.patches
        await asyncio.sleep(20)  # the stretch that is measured
        assert 3 <= reconciling.patches - before <= 7, "every four seconds, and it is never given up"
        assert named(reconciling) == [(".data.value", "other")]
    await eventually(lambda: not reconciling.contested)
    assert (await admin.get("v1/ConfigMap", "c", namespace))["data"]["value"] == "ours"
    assert not task.done()


async def test_a_foreign_key_in_a_selector_is_taken_out(live: KubeLive, admin: Admin, namespace: str) -> None:
    reconciling = Reconciling(live, SERVICE, service(namespace, {"a": "1"}))
    await live_now(reconciling.kind.informer)
    await reconciling.once()
    live.start(reconciling.run())
    await admin.apply(service(namespace, {"a": "1", "foreign": "x"}), manager="other")

    def restored(found: Any) -> bool:
        return found["spec"]["selector"] == {"a": "1"}

    await admin.wait_for("v1/Service", "s", namespace, restored)
    assert not reconciling.contested
    async with setting_back(lambda: admin.apply(service(namespace, {"a": "1", "foreign": "x"}), manager="other")):
        await eventually(lambda: named(reconciling) == [(".spec.selector.foreign", "other")])


async def test_a_field_that_an_update_takes_out_is_contested_too(live: KubeLive, admin: Admin, namespace: str) -> None:
    reconciling = Reconciling(live, SERVICE, service(namespace, {"a": "1"}))
    await live_now(reconciling.kind.informer)
    await reconciling.once()
    live.start(reconciling.run())
    gone: JsonObject = {"metadata": {"annotations": {"kube.example.com/rendered": None}}}
    async with setting_back(lambda: admin.patch("v1/Service", "s", namespace, gone)):
        (contested,) = await eventually(lambda: reconciling.contested)
        assert contested.path == ".metadata.annotations"
        assert "an unknown field manager" in str(contested)


@contextlib.asynccontextmanager
async def webhook(
    admin: Admin, folder: Path, namespace: str, resource: Resource, patch: list[JsonObject]
) -> AsyncIterator[None]:
    """A mutating webhook that makes the same JSON patch of every object of a kind in the namespace."""
    pki = Pki.create(folder / "webhook", ["127.0.0.1"])

    async def answer(request: web.Request) -> web.Response:
        review = await request.json()
        response = {
            "uid": review["request"]["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
        }
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return web.json_response(kind | {"response": response})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pki.serving_cert, pki.serving_key)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    name = f"sets-back-{namespace}"
    hook = {
        "name": "sets-back.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {
            "url": f"https://127.0.0.1:{port}/",
            "caBundle": base64.b64encode(pki.ca_cert.read_bytes()).decode(),
        },
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [
            {
                "apiGroups": [resource.group],
                "apiVersions": [resource.version],
                "operations": ["CREATE", "UPDATE"],
                "resources": [resource.plural],
            }
        ],
    }
    kind = "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration"
    api_version, _, kind_name = kind.rpartition("/")
    await admin.apply({"apiVersion": api_version, "kind": kind_name, "metadata": {"name": name}, "webhooks": [hook]})
    try:
        yield
    finally:
        await admin.delete(kind, name)
        await runner.cleanup()


async def test_a_webhook_that_sets_a_field_back_costs_one_patch(
    live: KubeLive, admin: Admin, namespace: str, tmp_path: Path
) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": namespace},
        "data": {"value": "ours"},
    }
    reconciling = Reconciling(live, CONFIG_MAP, body)
    await live_now(reconciling.kind.informer)
    patch: list[JsonObject] = [{"op": "replace", "path": "/data/value", "value": "the webhook's"}]
    async with webhook(admin, tmp_path, namespace, CONFIG_MAP, patch):

        async def in_force() -> bool:
            await reconciling.once()
            found = await admin.get("v1/ConfigMap", "c", namespace)
            reconciling.body = {**reconciling.body, "data": {"value": f"ours {found['metadata']['resourceVersion']}"}}
            return found["data"]["value"] == "the webhook's"

        await eventually(in_force)
        await reconciling.once()
        before = reconciling.patches
        for _ in range(50):
            assert (await reconciling.once()).outcome == "unchanged"
        assert reconciling.patches - before <= 1, "an apply that changed nothing is not repeated"
        (contested,) = reconciling.contested
        assert contested.path == ".data.value"
        assert "an admission webhook" in str(contested)


async def test_zero_values_make_no_write_at_rest(live: KubeLive, namespace: str) -> None:
    pod = {
        "hostNetwork": False,
        "runtimeClassName": "r",
        "overhead": {"cpu": "0.25"},
        "nodeSelector": {},
        "volumes": [{"name": "v", "emptyDir": {"medium": ""}}],
        "containers": [{"name": "c", "image": "i", "tty": False, "env": [{"name": "A", "value": ""}]}],
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": namespace},
        "spec": {
            "replicas": 0,
            "minReadySeconds": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod},
        },
    }
    reconciling = Reconciling(live, DEPLOYMENT, body)
    await live_now(reconciling.kind.informer)
    assert (await reconciling.once()).outcome == "created"
    before = reconciling.patches
    assert (await reconciling.once()).outcome == "unchanged"
    anew = Reconciling(live, DEPLOYMENT, body)  # as after a restart: nothing is remembered
    await live_now(anew.kind.informer)
    assert (await anew.once()).outcome == "unchanged"
    assert reconciling.patches == before
