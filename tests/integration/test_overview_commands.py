"""`kubectl wasmcloud` as a user runs it, against a real API server and a real operator."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from pathlib import Path

import pytest
import yaml

from support.operators.in_process import RunningOperator
from support.sites.services import ServiceSite, http_components
from testbed import Admin, ControlPlane, Kwok, NatsServer, Server
from testbed.admin import Object
from testbed.waiting import eventually
from wasmcloud_operator.commands.rbac import chart_rules

PROGRAM = Path(sys.executable).with_name("kubectl-wasmcloud")


async def run(kubeconfig: Path, *arguments: str) -> tuple[int, str]:
    """Returns exit status and output."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        *("--kubeconfig", str(kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


def pool(namespace: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
        "kind": "WasmCloudHostConfig",
        "metadata": {"name": "edge", "namespace": namespace},
        "spec": {"lattice": "x", "version": "1.9.0", "natsAddress": "nats://127.0.0.1:9", **spec},
    }


async def test_the_missing_secret_of_a_pool_is_named_with_the_command_that_shows_more(
    crds: ControlPlane, admin: Admin, namespace: str, operator: RunningOperator
) -> None:
    await admin.create(pool(namespace, secretName="nowhere"))
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))

    async def explained() -> str | None:
        status, text = await run(kubeconfig, "why", "whc/edge", "-n", namespace)
        return text if status == 1 and "nowhere" in text else None

    text = await eventually(explained, timeout=60)
    assert text.startswith(f"1. WasmCloudHostConfig {namespace}/edge (condition SecretsValid")
    assert f"kubectl -n {namespace} describe wasmcloudhostconfig edge" in text
    status, shown = await run(kubeconfig, "status", "-n", namespace, "-o", "json")
    report = json.loads(shown)
    assert (status, report["fine"]) == (1, False)
    assert [row["name"] for row in report["pools"]] == ["edge"]


async def test_an_application_without_a_pool_is_explained_by_its_namespace(
    crds: ControlPlane, admin: Admin, namespace: str, operator: RunningOperator
) -> None:
    await admin.create(
        {
            "apiVersion": "core.oam.dev/v1beta1",
            "kind": "Application",
            "metadata": {"name": "shop", "namespace": namespace},
            "spec": {"components": [{"name": "web", "type": "component", "properties": {"image": "a/b:1"}}]},
        }
    )
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))

    async def explained() -> str | None:
        status, text = await run(kubeconfig, "why", "app/shop", "-n", namespace)
        return text if status == 1 and "has no host config" in text else None

    assert (await eventually(explained, timeout=60)).startswith(f"1. Namespace {namespace}")
    status, text = await run(kubeconfig, "tree", "app/shop", "-n", namespace)
    assert status == 0
    assert text.splitlines()[1] == "└─ component web"


async def test_the_tree_of_a_running_application_leads_by_its_hosts_to_pods_and_nodes(
    crds: ControlPlane, admin: Admin, kwok: Kwok, nats_server: NatsServer, wadm: Server
) -> None:
    kubeconfig, namespace = crds.kubeconfig_for(crds.user("admin")), f"tree-{secrets.token_hex(3)}"
    async with (
        RunningOperator.start(crds, watch_namespaces=namespace),
        ServiceSite.open(admin, nats_server, namespace=namespace) as site,
    ):
        (pod,) = await site.pods()
        node = (await admin.get("v1/Pod", pod, site.namespace))["spec"]["nodeName"]
        async with site.host_on(pod):
            await site.create("shop", http_components(8000))

            async def drawn() -> list[str] | None:
                _, text = await run(kubeconfig, "tree", "app/shop", "-n", site.namespace)
                lines = text.splitlines()
                return lines if "Deployed" in lines[0] and text.count(f"Pod {pod}  ready  on {node}") == 3 else None

            lines = await eventually(drawn, timeout=120, interval=0.5)
            await admin.delete_all("core.oam.dev/v1beta1/Application", site.namespace)
    assert lines[0].startswith(f"Application {site.namespace}/shop  Deployed")
    hosts = [number for number, line in enumerate(lines) if "  1 instance" in line]
    assert ["─ host " in lines[number] and f"Pod {pod}" in lines[number + 1] for number in hosts] == [True, True]
    assert sum(line.startswith(f"└─ Service {site.namespace}/shop  1 ready") for line in lines) == 1


async def test_a_user_without_rights_reads_what_is_missing_and_no_verdict_of_fine(
    crds: ControlPlane, namespace: str
) -> None:
    status, text = await run(crds.kubeconfig_for(crds.user("dave")), "status", "-n", namespace)
    assert status == 1
    assert "cannot be shown: pods: you have no right to list them" in text


@pytest.mark.parametrize(
    ("groups", "may"), [(["nobody"], False), (["nobody", "system:masters"], True), (["system:masters", "nobody"], True)]
)
async def test_a_user_that_acts_for_another_has_the_rights_of_that_one_and_its_groups(
    crds: ControlPlane, namespace: str, tmp_path: Path, groups: list[str], may: bool
) -> None:
    config = yaml.safe_load(crds.kubeconfig_for(crds.user("admin")).read_text())
    config["users"][0]["user"] |= {"as": "nobody", "as-groups": groups}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    status, text = await run(tmp_path / "config", "status", "-n", namespace)
    assert (status, "you have no right to list them" in text) == ((0, False) if may else (1, True))


async def test_a_cluster_out_of_reach_is_one_line_and_exit_status_two(tmp_path: Path) -> None:
    status, text = await run(tmp_path / "nowhere", "status")
    assert status == 2
    assert "cannot read the cluster: " in text
    assert "Traceback" not in text


async def test_the_doctor_finds_the_crds_of_this_release_and_no_leader_where_no_operator_holds_a_lease(
    crds: ControlPlane,
) -> None:
    status, text = await run(crds.kubeconfig_for(crds.user("admin")), "doctor")
    assert status == 1
    assert "ok  Kubernetes v1." in text
    for name in ("wasmcloudhostconfigs.k8s.wasmcloud.dev", "applications.core.oam.dev"):
        assert f"ok  CRD {name} is this release's\n" in text
    assert "no operator leads" in text


async def test_the_doctor_of_a_user_without_rights_ends_with_three_and_names_them(crds: ControlPlane) -> None:
    status, text = await run(crds.kubeconfig_for(crds.user("dave")), "doctor")
    assert (status, "!!" in text) == (3, False), text
    last = text.splitlines()[-1]
    assert last.startswith("8 checks were not made, for which you lack the right to: get customresourcedefinitions.")
    for right in ("list pods in all namespaces", "list leases.coordination.k8s.io in all namespaces"):
        assert right in last


def operator_pod(namespace: str) -> Object:
    """As a chart with other names deploys it to follow its own namespace alone; no scheduler takes it."""
    labels = {"app.kubernetes.io/name": "renamed", "app.kubernetes.io/component": "operator"}
    watched = {"name": "WASMCLOUD_OPERATOR_WATCH_NAMESPACES", "value": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator", "namespace": namespace, "labels": labels},
        "spec": {
            "schedulerName": "none",
            "serviceAccountName": "op",
            "automountServiceAccountToken": False,
            "containers": [{"name": "operator", "image": "x/op:1", "args": ["run"], "env": [watched]}],
        },
    }


async def test_the_doctor_names_the_rights_that_the_operators_service_account_lacks_until_it_has_them(
    crds: ControlPlane, admin: Admin, namespace: str
) -> None:
    await admin.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "op", "namespace": namespace}}
    )
    await admin.create(operator_pod(namespace))
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))

    async def about_rights() -> str:
        _, text = await run(kubeconfig, "doctor", "-n", namespace)
        (line,) = [line for line in text.splitlines() if f"ServiceAccount {namespace}/op " in line]
        return line

    with crds.audit.counting(user_agent="kubectl-wasmcloud") as counter:
        lacking = await about_rights()
    lists = [event for event in counter.requests if event.resource == "pods" and "component" in event.uri]
    assert len(lists) == 1
    assert lacking.startswith("!!  ")
    assert (
        f"lacks rights that the operator needs: get wasmcloudhostconfigs.k8s.wasmcloud.dev in namespace {namespace}; "
        in lacking
    )
    rules = chart_rules()
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "op"}
    metadata = {"name": "op", "namespace": namespace}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    await admin.create({**head, "kind": "Role", "rules": [*rules["watchedNamespace"], *rules["ownNamespace"]]})
    subject = {"kind": "ServiceAccount", "name": "op", "namespace": namespace}
    await admin.create({**head, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})

    async def complete() -> bool:
        return (await about_rights()).startswith("ok  ")

    await eventually(complete, timeout=60, interval=1)


@pytest.mark.parametrize(
    "command",
    [
        *(("status",), ("why", "app/x"), ("tree", "whc/x"), ("report",), ("ui",), ("doctor",)),
        *(("migrate",), ("migrate", "--dry-run"), ("history", "app/x"), ("rollback", "app/x"), ("diff", "-")),
    ],
)
async def test_a_namespace_that_does_not_exist_is_a_mistake_and_not_an_empty_one(
    crds: ControlPlane, tmp_path: Path, command: tuple[str, ...]
) -> None:
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    assert await run(kubeconfig, *command, "-n", "mispelt") == (2, "there is no namespace mispelt\n")


async def test_who_may_list_in_one_namespace_alone_sees_that_of_the_context(
    crds: ControlPlane, admin: Admin, namespace: str
) -> None:
    metadata = {"name": "reads", "namespace": namespace}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    rules = [
        {"apiGroups": ["k8s.wasmcloud.dev", "core.oam.dev", ""], "resources": ["*"], "verbs": ["get", "list"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"}
    await admin.create({**head, "kind": "Role", "rules": rules})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "carol"}
    await admin.create({**head, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})
    await admin.create(pool(namespace, secretName="nowhere"))
    kubeconfig = crds.kubeconfig_for(crds.user("carol"), namespace=namespace)

    async def seen() -> str | None:
        _, text = await run(kubeconfig, "status")
        return text if f"{namespace}/edge" in text else None

    text = await eventually(seen, timeout=60, interval=1)
    assert text.startswith("you have no right to list host configs and Applications in all namespaces: this is")
    assert "cannot be shown" not in text
    status, text = await run(kubeconfig, "tree", "whc/edge")
    assert (status, f"WasmCloudHostConfig {namespace}/edge" in text) == (0, True)
    status, text = await run(kubeconfig, "status", "-A")
    assert (status, "cannot be shown: pods: you have no right" in text) == (1, True), "all were asked for"


async def test_a_reader_that_has_seen_enough_is_no_fault_of_the_cluster(crds: ControlPlane) -> None:
    kubeconfig = crds.kubeconfig_for(crds.user("admin"))
    words = (str(PROGRAM), "status", "--kubeconfig", str(kubeconfig))
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'exec "$@" | true', "sh", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert out == b""
