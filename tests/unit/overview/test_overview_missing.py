"""What the commands answer where there is nothing to look at, or it cannot be seen, and where a name is not enough."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.objects.overview import FINE, WAITING, app, pool
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, SERVICE, Key
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedApiServer

PROGRAM = Path(sys.executable).with_name("kubectl-wasmcloud")
FORBIDDEN = Answer("read", 403, {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403})
REFUSED = {"kind": "Status", "reason": "Invalid", "message": "no such", "code": 422}
SERVED = [{"namespace": "team-a", "name": "shop", "readyEndpoints": 0}]


def body(item: CustomResource, namespace: str = "team-a") -> dict[str, Any]:
    metadata = {"name": item.metadata.name, "namespace": namespace, "uid": f"{namespace}-{item.metadata.name}"}
    return {"metadata": {**metadata, "generation": 1}, "spec": item.spec, "status": item.status}


@pytest.fixture
def api() -> ScriptedApi:
    api = ScriptedApi()
    for namespace in ("team-a", "team-b"):
        api.put(NAMESPACE, {"metadata": {"name": namespace, "uid": namespace}})
    api.put(HOST_CONFIG, body(pool(FINE)))
    api.put(APPLICATION, body(app(WAITING, fields={"lattice": "x", "hostConfig": "edge", "services": SERVED})))
    return api


@pytest.fixture
async def kubeconfig(api: ScriptedApi, tmp_path: Path) -> AsyncIterator[Path]:
    async with ScriptedApiServer.serve(api) as server:
        yield server.kubeconfig(tmp_path / "kubeconfig")


def in_namespace(kubeconfig: Path, namespace: str) -> None:
    """The context has a namespace."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    kubeconfig.write_text(yaml.safe_dump(config))


async def answer(kubeconfig: Path, *arguments: str, given: str = "") -> tuple[int | None, str, str]:
    """Returns exit status, output, and what is on standard error; `given` is on standard input."""
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, *arguments, "--kubeconfig", str(kubeconfig)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate(given.encode())
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("tree", "app/nope"), "there is no Application nope; there are: team-a/shop\n"),
        (("why", "app/nope"), "there is no Application nope; there are: team-a/shop\n"),
        (("tree", "whc/nope"), "there is no WasmCloudHostConfig nope; there are: team-a/edge\n"),
        (("tree", "lattice/nope"), "nothing that you can read is in a lattice nope; there are: x\n"),
        (("why", "svc/nope"), "there is no Service default/nope\n"),
        (("why", "svc/nope", "-n", "team-b"), "there is no Service team-b/nope\n"),
        (("why", "svc/nope", "-n", "team-c"), "there is no namespace team-c\n"),
        (("why", "svc/nope", "-n", ".."), "there is no namespace ..\n"),
        (("status", "-n", "team-a?"), "there is no namespace team-a?\n"),
        (("status", "-n", "team-a/../team-b"), "there is no namespace team-a/../team-b\n"),
        (("report", "-n", "team-a#"), "there is no namespace team-a#\n"),
        (("migrate", "-n", "team-c"), "there is no namespace team-c\n"),
        (("diff", "-", "-n", "team-c"), "there is no namespace team-c\n"),
        (("history", "app/nope", "-n", "team-c"), "there is no namespace team-c\n"),
        (("rollback", "app/nope", "-n", "team-c"), "there is no namespace team-c\n"),
        (("history", "app/nope", "-n", "team-a"), "there is no Application team-a/nope\n"),
    ],
)
async def test_a_missing_object_is_named_and_ends_with_two(
    kubeconfig: Path, command: tuple[str, ...], expected: str
) -> None:
    assert await answer(kubeconfig, *command) == (2, "", expected)


@pytest.mark.parametrize("command", ["tree", "why"])
async def test_an_unreadable_object_is_not_called_missing(api: ScriptedApi, kubeconfig: Path, command: str) -> None:
    api.fail(*[FORBIDDEN] * 4)
    status, out, err = await answer(kubeconfig, command, "app/shop")
    assert (status, out) == (2, "")
    assert "cannot be looked at: applications.core.oam.dev: you have no right to list them\n" in err
    assert err.endswith("Application shop cannot be seen\n")


async def test_a_namespace_that_may_not_be_read_is_taken_to_exist(api: ScriptedApi, kubeconfig: Path) -> None:
    api.fail(FORBIDDEN)
    status, out, _ = await answer(kubeconfig, "why", "app/shop", "-n", "team-a")
    assert (status, out.startswith("1. Application team-a/shop")) == (1, True)


async def test_a_redrawn_status_outlives_an_api_server_that_is_away(api: ScriptedApi, kubeconfig: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "status", "-n", "team-a", "--watch", "--kubeconfig", str(kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None

    async def until(words: bytes) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if words in line:
                return
        raise AssertionError(f"it ended without {words!r}")

    try:
        async with asyncio.timeout(120):
            await until(b"why KIND/NAME")
            api.fail(Answer("list", 500, {"kind": "Status", "code": 500, "message": "away"}))
            await until(b"this may be out of date: 500")
            await until(b"why KIND/NAME")
    finally:
        process.kill()
        await process.wait()


async def test_a_cause_that_may_be_hidden_is_announced_beside_those_that_are_seen(
    api: ScriptedApi, kubeconfig: Path
) -> None:
    api.fail(Answer("list", 403, FORBIDDEN.body))
    status, out, err = await answer(kubeconfig, "why", "app/shop", "-n", "team-a")
    assert (status, out.startswith("1. Application team-a/shop")) == (1, True)
    assert err == "cannot be looked at: wasmcloudhostconfigs.k8s.wasmcloud.dev: you have no right to list them\n"


async def test_a_service_is_found_in_the_namespace_of_its_application(kubeconfig: Path) -> None:
    status, out, _ = await answer(kubeconfig, "why", "svc/shop")
    assert (status, "Service team-a/shop (EndpointSlices): has no ready endpoint" in out) == (1, True)


async def test_a_name_in_several_namespaces_asks_for_one(api: ScriptedApi, kubeconfig: Path) -> None:
    fields = {"lattice": "x", "services": [{**SERVED[0], "namespace": "team-b"}]}
    api.put(APPLICATION, body(app(WAITING, fields=fields), "team-b"))
    for what in ("app/shop", "svc/shop"):
        status, _, err = await answer(kubeconfig, "why", what)
        assert (status, "is in several namespaces: choose with -n one of team-a, team-b" in err) == (2, True)


async def test_a_service_of_no_application_is_not_called_missing(api: ScriptedApi, kubeconfig: Path) -> None:
    api.put(SERVICE, {"metadata": {"name": "other", "namespace": "team-a", "uid": "s"}, "spec": {}})
    status, out, _ = await answer(kubeconfig, "why", "svc/other", "-n", "team-a")
    assert (status, "belongs to no Application that you can read" in out) == (1, True)


async def test_an_object_is_looked_for_in_the_namespace_of_the_context(api: ScriptedApi, kubeconfig: Path) -> None:
    fields = {"lattice": "x", "versions": ["1"], "deployedVersion": "1"}
    api.put(APPLICATION, body(app(FINE, fields=fields)))
    in_namespace(kubeconfig, "team-a")
    assert (await answer(kubeconfig, "history", "app/shop"))[:2] == (0, "VERSION  STATE\n1        deployed\n")
    assert (await answer(kubeconfig, "why", "svc/nope"))[2] == "there is no Service team-a/nope\n"


async def test_a_diff_of_files_without_an_object_of_ours_is_no_silent_success(kubeconfig: Path) -> None:
    nothing = "nothing to compare: there is no Application or WasmCloudHostConfig in it\n"
    assert await answer(kubeconfig, "diff", os.devnull) == (0, "", nothing)


async def test_without_an_api_server_no_report_is_written(tmp_path: Path) -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig, file = tmp_path / "kubeconfig", tmp_path / "report.zip"
    kubeconfig.write_text(yaml.safe_dump(config))
    status, out, err = await answer(kubeconfig, "report", "-o", str(file))
    assert (status, out, file.exists()) == (2, "", False)
    assert err.startswith("cannot read the cluster: ")


HOSTILE = "a\x1b[2Jb\u202ec\x9b31m\nREADY  all is fine\r"


@pytest.mark.parametrize(
    "command",
    [
        ("tree", "lattice/nope"),
        ("status",),
        ("why", "app/shop"),
        ("history", "app/shop", "-n", "team-a"),
        ("rollback", "app/shop", "-n", "team-a"),
        ("migrate", "--dry-run"),
        ("diff", "-", "-n", "team-a"),
    ],
    ids=lambda command: command[0],
)
async def test_words_of_others_are_text_in_every_command(
    api: ScriptedApi, kubeconfig: Path, command: tuple[str, ...]
) -> None:
    others = {"argocd.argoproj.io/tracking-id": HOSTILE, "note": HOSTILE}
    for resource, name in ((APPLICATION, "shop"), (HOST_CONFIG, "edge")):
        found = api.all(resource)[Key("team-a", name)]
        ready = {"type": "Ready", "status": "False", "reason": HOSTILE, "message": HOSTILE}
        fields = {"versions": [HOSTILE], "phase": HOSTILE, "message": HOSTILE, "conditions": [ready]}
        changed = {**found["status"], **fields}
        metadata = {**found["metadata"], "annotations": others}
        api.put(resource, {**found, "metadata": metadata, "spec": {"lattice": HOSTILE}, "status": changed})
    metadata = {"name": "shop", "annotations": {"others": HOSTILE}}
    manifest = {"apiVersion": APPLICATION.api_version, "kind": APPLICATION.kind, "metadata": metadata}
    if "migrate" in command:
        api.fail(Answer("read", 500, {"kind": "Status", "code": 500, "message": HOSTILE}))
    _, out, err = await answer(kubeconfig, *command, given=yaml.safe_dump(manifest))
    lines = [*out.split("\n"), *err.split("\n")]
    assert "\\x0aREADY" in out + err or "nREADY" in out + err
    assert [line for line in lines if not line.isprintable() or line.startswith("READY")] == []


@pytest.mark.parametrize("versions", [5, "1", {"1": True}, None])
async def test_versions_of_another_form_are_none(api: ScriptedApi, kubeconfig: Path, versions: object) -> None:
    shop = api.all(APPLICATION)[Key("team-a", "shop")]
    api.put(APPLICATION, {**shop, "status": {**shop["status"], "versions": versions}})
    expected = (0, "wadm keeps no version of it\n", "")
    assert await answer(kubeconfig, "history", "app/shop", "-n", "team-a") == expected


async def test_each_thing_that_a_report_lacks_is_a_line(api: ScriptedApi, kubeconfig: Path, tmp_path: Path) -> None:
    api.fail(Answer("list", 403, {**FORBIDDEN.body, "message": "one\ntwo\u2028three"}))
    status, out, _ = await answer(kubeconfig, "report", "-n", "team-a", "-o", str(tmp_path / "x.zip"))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        missing = archive.read("missing.txt").decode().splitlines()
    assert [line.partition(":")[0] for line in missing] == ["version", "wasmcloudhostconfigs.k8s.wasmcloud.dev"]
    assert (status, f"{len(missing)} could not be read" in out) == (1, True)


async def test_a_report_reads_of_all_crds_only_those_of_both_kinds(
    api: ScriptedApi, kubeconfig: Path, tmp_path: Path
) -> None:
    for name in (str(HOST_CONFIG), "others.example.com"):
        api.put(CUSTOM_RESOURCE_DEFINITION, {"metadata": {"name": name, "uid": name}, "spec": {}, "status": {}})
    await answer(kubeconfig, "report", "-n", "team-a", "-o", str(tmp_path / "x.zip"))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        crds = json.loads(archive.read("objects/crds.json"))
    assert [crd["metadata"]["name"] for crd in crds] == [str(HOST_CONFIG)]
    asked = [request.path for request in api.requests if "customresourcedefinitions" in request.path]
    assert asked == [CUSTOM_RESOURCE_DEFINITION.path(Key("", str(kind))) for kind in (HOST_CONFIG, APPLICATION)]


@pytest.mark.parametrize(
    ("command", "fault", "expected"),
    [
        (
            ("diff", "-"),
            Answer("write", 422, REFUSED),
            "cannot compare: Application team-a/shop: 422 Invalid: no such\n",
        ),
        (("rollback", "app/shop"), FORBIDDEN, "no rollback: 403 Forbidden: no\n"),
    ],
    ids=["diff", "rollback"],
)
async def test_a_refusal_of_the_api_server_is_no_cluster_that_cannot_be_read(
    api: ScriptedApi, kubeconfig: Path, command: tuple[str, ...], fault: Answer, expected: str
) -> None:
    api.fail(FORBIDDEN, fault)  # the namespace may not be read
    manifest = {"apiVersion": APPLICATION.api_version, "kind": APPLICATION.kind, "metadata": {"name": "shop"}}
    given = yaml.safe_dump(manifest)
    assert await answer(kubeconfig, *command, "-n", "team-a", given=given) == (2, "", expected)
