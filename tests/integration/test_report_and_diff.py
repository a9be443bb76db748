"""`report` and `diff` as a user runs them, against a real API server: nothing secret gets out, nothing is written."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, CONFIG, application, components, host_config
from testbed import Admin, ControlPlane
from testbed.pki import Pki
from testbed.waiting import eventually

PROGRAM = Path(sys.executable).with_name("kubectl-wasmcloud")
SEED = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
CANARY = "canary-7f3a"
LOG = (
    f"INFO starting\nWARN cannot connect to nats://joe:{CANARY}@hub: {JWT} {SEED}\nINFO password={CANARY}\n"
    f"INFO nats -p {CANARY} --token {CANARY}\nWARN token {CANARY} is refused\nAuthorization: Basic {CANARY}\n"
    f"tokens:\n- {CANARY}\npassword: |\n  {CANARY}\n\n  {CANARY}\nINFO ends\n"
)


async def run(kubeconfig: Path, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """Returns exit status and output."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        *("--kubeconfig", str(kubeconfig)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            out, _ = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


@contextlib.asynccontextmanager
async def kubelet(folder: Path) -> AsyncIterator[int]:
    """The part of a kubelet that logs come from: no process of a pod runs in this control plane. Yields its port."""

    async def logs(request: web.Request) -> web.Response:
        return web.Response(text=LOG)

    pki = Pki.create(folder, ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.serving_cert, pki.serving_key)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def host_pod(admin: Admin, namespace: str, port: int) -> AsyncIterator[None]:
    """A pod of a pool, on a node whose kubelet is on that port. The node goes: a DaemonSet would want a pod on it."""
    node = f"node-{namespace}"
    await admin.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    body = [{"op": "add", "path": f"/status/{key}", "value": value} for key, value in status.items()]
    path = f"/api/v1/nodes/{node}/status"
    await admin.request("PATCH", path, body, content_type="application/json-patch+json")
    container = {
        "name": "wasmcloud-host",
        "image": "x",
        "env": [{"name": "HUB_PASSWORD", "value": CANARY}, {"name": "LEVEL", "value": "info"}],
    }
    labels = {"app.kubernetes.io/name": "wasmcloud", "app.kubernetes.io/managed-by": "wasmcloud-operator"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "edge-0", "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node, "automountServiceAccountToken": False, "containers": [container]},
    }
    try:
        await admin.create(pod)
        yield
    finally:
        await admin.delete("v1/Pod", "edge-0", namespace, grace=0)
        await admin.delete("v1/Node", node)


async def test_no_secret_is_in_a_report_and_none_is_read_for_it(
    crds: ControlPlane, admin: Admin, namespace: str, tmp_path: Path
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "hub",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "wasmcloud-operator"},
        },
        "stringData": {"nats.creds": f"{JWT}\n{SEED}", "password": CANARY},
    }
    await admin.create(secret)
    pool = host_config(namespace, "default", f"nats://joe:{CANARY}@127.0.0.1:9", "edge")
    pool["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(pool),
        "note": base64.b64encode(SEED.encode()).decode(),
    }
    await admin.create(pool)
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    file = tmp_path / "report.zip"
    async with kubelet(tmp_path / "kubelet") as port, host_pod(admin, namespace, port):
        with crds.audit.counting(user_agent="kubectl-wasmcloud") as counter:
            status, text = await run(kubeconfig, "report", "-n", namespace, "-o", str(file))
    assert (status, text.startswith(f"{file}: ")) == (0, True), text
    assert counter.requests
    assert counter.writes == []
    assert [event for event in counter.requests if event.resource.startswith("secrets")] == []
    with zipfile.ZipFile(file) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    for name, content in texts.items():
        for canary in (CANARY, SEED, JWT, base64.b64encode(SEED.encode()).decode()):
            assert canary not in content, name
    log = texts[f"pods/{namespace}/edge-0/wasmcloud-host.log"]
    assert log.startswith("INFO starting\nWARN cannot connect to nats://[blacked out]@hub")
    assert '"value": "info"' in texts["objects/pods.json"]
    assert "kubernetes" in json.loads(texts["versions.json"])
    assert {crd["metadata"]["name"] for crd in json.loads(texts["objects/crds.json"])} == {
        "applications.core.oam.dev",
        "wasmcloudhostconfigs.k8s.wasmcloud.dev",
    }
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_report_lists_what_its_user_may_not_read_and_overwrites_no_file(
    crds: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = crds.kubeconfig_for(crds.user("dave"))
    file = tmp_path / "report.zip"
    status, text = await run(kubeconfig, "report", "-n", namespace, "-o", str(file))
    assert (status, "could not be read (missing.txt)" in text) == (1, True)
    with zipfile.ZipFile(file) as archive:
        assert "pods: " in archive.read("missing.txt").decode()
    status, text = await run(kubeconfig, "report", "-n", namespace, "-o", str(file))
    assert (status, text) == (2, f"cannot write {file}: File exists\n")


async def test_a_diff_shows_what_would_change_and_changes_nothing(
    crds: ControlPlane, admin: Admin, namespace: str, operator: RunningOperator, tmp_path: Path
) -> None:
    file = tmp_path / "app.json"
    app = {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "shop", "annotations": {"version": "1"}},
        "spec": {"components": components()},
    }
    file.write_text(json.dumps(app))
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    with crds.audit.counting(user_agent="kubectl-wasmcloud") as counter:
        status, text = await run(kubeconfig, "diff", str(file), "-n", namespace)
    assert (status, "+  - name: web" in text) == (1, True), text
    assert "# wadm: version 1 is put and deployed" in text
    assert all("dryRun=All" in event.uri for event in counter.writes)
    spec = {"components": components(), "policies": [{"name": "p", "type": "t", "properties": {}}]}
    applied = {**app, "spec": spec}
    live = {
        **applied,
        "metadata": {
            "name": "shop",
            "namespace": namespace,
            "annotations": {
                "version": "1",
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied),
            },
        },
    }
    created = await admin.create(live)
    status, text = await run(kubeconfig, "diff", str(file), "-n", namespace)
    assert (status, "-  policies:" in text) == (1, True), text
    status, text = await run(kubeconfig, "diff", "-", "-n", namespace, stdin=json.dumps(applied))
    assert (status, "@@" in text) == (0, False), text
    now = await admin.get(APP, "shop", namespace)
    assert now["metadata"]["generation"] == created["metadata"]["generation"]


@pytest.mark.parametrize(
    ("annotations", "instances", "consequence"),
    [
        ({}, -1, "refused by the operator: spec.components[0].traits[0].properties.instances: must be a whole number"),
        ({"k8s.wasmcloud.dev/undeploy": "true", "version": "7"}, 1, "wadm: version 7 is put, and not deployed"),
        ({"k8s.wasmcloud.dev/paused": "true"}, 1, "wadm: nothing is done while the Application is paused"),
    ],
)
async def test_a_diff_names_what_keeps_an_application_from_being_deployed(
    crds: ControlPlane, namespace: str, annotations: dict[str, str], instances: int, consequence: str
) -> None:
    app = application(namespace, "shop", annotations)
    app["spec"]["components"][0]["traits"][0]["properties"]["instances"] = instances
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    status, text = await run(kubeconfig, "diff", "-", stdin=json.dumps(app))
    assert (status, f"# {consequence}" in text) == (1, True), text


async def test_a_diff_of_a_host_config_shows_what_becomes_of_its_pods(
    crds: ControlPlane, admin: Admin, namespace: str, operator: RunningOperator, tmp_path: Path
) -> None:
    pool = host_config(namespace, "default", f"nats://joe:{CANARY}@127.0.0.1:9", "edge")
    await admin.create(pool)
    await eventually(lambda: admin.get("apps/v1/Deployment", "edge", namespace), timeout=60)
    pool["spec"]["hostLabels"] = {"zone": "b"}
    file = tmp_path / "pool.json"
    file.write_text(json.dumps(pool))
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    status, text = await run(kubeconfig, "diff", str(file))
    assert (status, "+    zone: b" in text, CANARY in text) == (1, True, False), text
    assert "# cluster: Deployment edge is changed; its pods restart once" in text
    assert (await admin.get(CONFIG, "edge", namespace))["spec"].get("hostLabels") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "is not YAML"),
        ("apiVersion: core.oam.dev/v1beta1\nkind: Aplication\n", "write Application"),
        ("apiVersion: core.oam.dev/v1beta1\nkind: Application\nspec: {}\n", "has no metadata.name: run check on it"),
        (
            "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: A}\nspec: {components: []}\n",
            "invalid",
        ),
    ],
)
async def test_a_diff_of_what_would_be_refused_ends_with_two(
    crds: ControlPlane, namespace: str, text: str, reason: str
) -> None:
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    status, found = await run(kubeconfig, "diff", "-", "-n", namespace, stdin=text)
    assert (status, reason in found.lower() or reason in found, "Traceback" in found) == (2, True, False), found
