"""What the doctor finds wrong, fine, or cannot know."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from wasmcloud_operator import preflight
from wasmcloud_operator.commands.overview import doctor, operator_pods
from wasmcloud_operator.commands.overview.snapshot import NO_RIGHT, Snapshot
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.resources import LEASE, POD, Key
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedTransport
from wasmcloud_operator_types import custom_resource_definitions


def operator_pod(ready: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": "operator"}
    conditions = [{"type": "Ready", "status": ready, "reason": "ContainersNotReady", "message": "it waits"}]
    metadata = {"name": "operator-0", "namespace": "ops", "uid": "o", "labels": labels}
    identity = {"name": "WASMCLOUD_OPERATOR_IDENTITY", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    container = {"name": "operator", "image": "x/op:1", "args": ["run"], "env": [identity]}
    spec = {"serviceAccountName": "op", "containers": [container]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "conditions": conditions}}


@pytest.mark.parametrize(
    ("pods", "found"),
    [
        ([], []),
        ([operator_pod("False")], ["!!  operator's pod ops/operator-0 (x/op:1): ContainersNotReady: it waits"]),
        (
            [operator_pod("True")],
            ["??  operator's pod ops/operator-0 (x/op:1) is ready; its metrics cannot be read through"],
        ),
    ],
)
async def test_an_operators_pod_is_wrong_unless_it_is_ready_and_its_metrics_may_be_hidden(
    pods: list[dict[str, Any]], found: list[str]
) -> None:
    api = ScriptedApi()
    for pod in pods:
        api.put(POD, pod)
    client = Reader(ScriptedTransport(api))
    lines = [str(finding) for finding in await doctor.operators(client, await operator_pods.listed(client))]
    assert [line.startswith(start) for line, start in zip(lines, found, strict=True)] == [True] * len(found), lines


async def test_the_metrics_of_an_operators_pod_are_fetched() -> None:
    api = ScriptedApi()
    api.fail(Answer("read", 200, "up 1\n"))
    (finding,) = await doctor.operators(Reader(ScriptedTransport(api)), [Unstructured.from_body(operator_pod("True"))])
    assert str(finding) == "ok  operator's pod ops/operator-0 (x/op:1) is ready, its metrics can be read"
    assert api.requests[-1].path.endswith("/pods/operator-0%3A8080/proxy/metrics")


def of_container(**container: Any) -> operator_pods.Deployed:
    metadata = {"name": "operator-0", "namespace": "ops"}
    return operator_pods.deployed(UNSTRUCTURED.item(json.dumps({
        "metadata": metadata,
        "spec": {"containers": [{"name": "beside"}, {"name": "operator", **container}]},
    }).encode()))  # fmt: skip


DEFAULT = operator_pods.Deployed(
    account=Key("ops", "default"),
    namespace="ops",
    watch_namespaces=(),
    applications=True,
    services=True,
    leader_election=True,
    lease_name="wasmcloud-operator",
)


@pytest.mark.parametrize(
    ("container", "changed"),
    [
        ({}, {}),
        (
            {"args": ["run", "--no-applications", "--no-leader-election"]},
            {"applications": False, "leader_election": False},
        ),
        ({"args": ["run", "--watch-namespaces", "a, b", "--services"]}, {"watch_namespaces": ("a", "b")}),
        ({"command": ["x", "run", "--lease-name=other"]}, {"lease_name": "other"}),
        (
            {"env": [{"name": "WASMCLOUD_OPERATOR_SERVICES", "value": "False"}, {"name": "SERVICES", "value": "x"}]},
            {"services": False},
        ),
        (
            {"env": [{"name": "WASMCLOUD_OPERATOR_NAMESPACE", "value": "home"}], "args": ["--watch-namespaces=a"]},
            {"namespace": "home", "watch_namespaces": ("a",)},
        ),
        (
            {
                "env": [{"name": "WASMCLOUD_OPERATOR_WATCH_NAMESPACES", "value": "a"}],
                "args": ["--watch-namespaces", "b"],
            },
            {"watch_namespaces": ("b",)},
        ),
        ({"env": [{"name": "WASMCLOUD_OPERATOR_LEASE_NAME", "valueFrom": {}}], "args": ["run", 5]}, {}),
    ],
)
def test_the_settings_of_an_operators_pod_come_from_its_flags_and_variables(
    container: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert of_container(**container) == replace(DEFAULT, **changed)


async def looked_at(*answers: Answer) -> tuple[str, ScriptedApi]:
    """The one finding about the rights of an operator whose pods are two."""
    api = ScriptedApi()
    api.fail(*answers)
    (finding,) = await doctor.rights(Reader(ScriptedTransport(api)), [Unstructured.from_body(operator_pod("True"))] * 2)
    return str(finding), api


def reviewed(*, allowed: bool) -> Answer:
    return Answer("write", 201, {"status": {"allowed": allowed}})


async def test_the_rights_of_an_operators_service_account_are_asked_for_one_by_one() -> None:
    wanted = len(preflight.wanted_by(DEFAULT))
    found, api = await looked_at(*[reviewed(allowed=True)] * wanted)
    assert found == f"ok  ServiceAccount ops/op has the {wanted} rights that the operator needs"
    bodies = [request.body["spec"] for request in api.requests]
    assert {body["user"] for body in bodies} == {"system:serviceaccount:ops:op"}
    assert {tuple(body["groups"]) for body in bodies} == {
        ("system:serviceaccounts", "system:serviceaccounts:ops", "system:authenticated")
    }
    asked = [(body["resourceAttributes"]["verb"], body["resourceAttributes"]["resource"]) for body in bodies]
    assert ("patch", "wasmcloudhostconfigs") in asked


async def test_the_rights_that_an_operator_lacks_are_named() -> None:
    wanted = len(preflight.wanted_by(DEFAULT))
    found, _ = await looked_at(*[reviewed(allowed=False)] * wanted)
    assert found.startswith(
        "!!  ServiceAccount ops/op lacks rights that the operator needs: get wasmcloudhostconfigs.k8s"
    )
    assert found.endswith(f"; and {wanted - 10} more")


async def test_who_may_not_ask_about_others_reads_that_rights_were_not_looked_at() -> None:
    refused = Answer("write", 403, {"kind": "Status", "message": "no", "reason": "Forbidden", "code": 403})
    found, _ = await looked_at(*[refused] * 100)
    assert found.startswith("??  ServiceAccount ops/op: whether it has the operator's rights cannot be looked at")


def lease(namespace: str, name: str, age: float) -> dict[str, Any]:
    renewed = datetime.now(UTC) - timedelta(seconds=age)
    spec = {"holderIdentity": f"{name}-0", "renewTime": renewed.isoformat(timespec="microseconds")}
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}{name}"}, "spec": spec}


@pytest.mark.parametrize(
    ("leases", "found"),
    [
        ([], "!!  no operator leads"),
        ([("ops", "wasmcloud-operator", 600)], "!!  no operator leads"),
        ([("ops", "wasmcloud-operator", 1)], "ok  the operator is led by wasmcloud-operator-0 in ops"),
        ([("ops", "mine", 1), ("ops", "foreign", 1)], "ok  the operator is led by mine-0 in ops"),
        (
            [("ops", "wasmcloud-operator", 1), ("ops", "mine", 1)],
            "!!  2 operators lead at once: mine-0 in ops, wasmcloud-operator-0 in ops",
        ),
    ],
)
async def test_leaders_are_found_by_the_name_of_the_lease_that_the_operators_pods_take(
    leases: list[tuple[str, str, int]], found: str
) -> None:
    api = ScriptedApi()
    pod = operator_pod("True")
    pod["spec"]["containers"][0]["args"] = ["run", "--lease-name", "mine"]
    for one in leases:
        api.put(LEASE, lease(*one))
    (finding,) = await doctor.leases(Reader(ScriptedTransport(api)), [Unstructured.from_body(pod)])
    assert str(finding).startswith(found)


def test_a_refused_read_makes_a_finding_unknown() -> None:
    (finding,) = doctor.of_snapshot(Snapshot(unreadable={"pods": "you have no right to list them"}))
    assert (finding.health, finding.text) == (doctor.Health.UNKNOWN, "pods: you have no right to list them")


async def of_server(minor: str, seconds_behind: float) -> list[str]:
    """What is found of a server of that version whose clock is so many seconds behind."""
    api = ScriptedApi()
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds_behind), usegmt=True)
    version = {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}
    api.fail(Answer("read", 200, version, headers={"Date": date}))
    return [str(finding) for finding in await doctor.server(Reader(ScriptedTransport(api)))]


@pytest.mark.parametrize(
    ("minor", "behind", "found"),
    [
        ("35", 0, ["ok  Kubernetes v1.35.0", "ok  this machine's clock and the API server's are"]),
        ("28", 0, ["!!  Kubernetes v1.28.0; the operator needs 1.29 or newer", "ok  this machine's clock"]),
        ("35", 90, ["ok  Kubernetes v1.35.0", "!!  this machine's clock and the API server's are"]),
        ("35", -90, ["ok  Kubernetes v1.35.0", "!!  this machine's clock and the API server's are"]),
    ],
)
async def test_a_server_that_is_too_old_and_a_clock_that_is_wrong_are_found(
    minor: str, behind: float, found: list[str]
) -> None:
    lines = await of_server(minor, behind)
    assert [line.startswith(start) for line, start in zip(lines, found, strict=True)] == [True, True], lines


def discovery(*kinds: dict[str, Any]) -> Answer:
    return Answer("read", 200, {"kind": "APIResourceList", "resources": list(kinds)})


ABSENT = Answer("read", 404, {"kind": "Status", "reason": "NotFound", "code": 404, "message": "not found"})
HOST_CONFIGS = discovery({"name": "wasmcloudhostconfigs"})
STALE = {"metadata": {"name": "v1beta1.core.oam.dev"}, "spec": {"service": {"namespace": "ops", "name": "old"}}}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (
            [HOST_CONFIGS, ABSENT, discovery({"name": "applications", "categories": ["wasmcloud"]})],
            ["ok  wasmcloudhostconfigs.k8s.wasmcloud.dev is served", "ok  applications.core.oam.dev: served by: ours"],
        ),
        (
            [ABSENT, ABSENT, ABSENT],
            [
                "!!  wasmcloudhostconfigs.k8s.wasmcloud.dev is not installed: wasmcloud-operator crds | kubectl apply",
                "!!  applications.core.oam.dev:",
            ],
        ),
        (
            [HOST_CONFIGS, ABSENT, discovery({"name": "applications", "categories": ["oam"]})],
            ["ok  wasmcloudhostconfigs", "!!  applications.core.oam.dev:"],
        ),
        (
            [HOST_CONFIGS, Answer("read", 200, STALE)],
            [
                "ok  wasmcloudhostconfigs",
                "!!  applications.core.oam.dev: APIService v1beta1.core.oam.dev",
            ],
        ),
    ],
    ids=["ours", "missing", "another project's", "hidden by an earlier operator's APIService"],
)
async def test_kinds_that_are_missing_foreign_or_hidden_are_found(answers: list[Answer], found: list[str]) -> None:
    api = ScriptedApi()
    api.fail(*answers)
    lines = [str(finding) for finding in await doctor.kinds(Reader(ScriptedTransport(api)))]
    assert [line.startswith(start) for line, start in zip(lines, found, strict=True)] == [True, True], lines


def newer(crd: dict[str, Any]) -> None:
    version = crd["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["colour"] = {"type": "string"}
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["version"]["maxLength"] = 7


def without_column(crd: dict[str, Any]) -> None:
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    columns[:] = [column for column in columns if column["name"] != "Hosts"]


def without_fields(crd: dict[str, Any]) -> None:
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del properties["observability"], properties["leafService"]


def without_version(crd: dict[str, Any]) -> None:
    crd["spec"]["versions"][0] |= {"name": "v1alpha0"}


def otherwise_checked(crd: dict[str, Any]) -> None:
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["hostReplicas"]["maximum"] = 3


def other_column(crd: dict[str, Any]) -> None:
    crd["spec"]["versions"][0]["additionalPrinterColumns"][0]["jsonPath"] = ".status.ready"


def of_a_chart(crd: dict[str, Any]) -> None:
    without_column(crd)
    annotations = {"meta.helm.sh/release-name": "op", "meta.helm.sh/release-namespace": "ops"}
    crd["metadata"]["annotations"] = annotations


def otherwise_described(crd: dict[str, Any]) -> None:
    version = crd["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["description"] = "Something else."
    version["additionalPrinterColumns"][0]["description"] = "Something else."


UPDATE = "wasmcloud-operator crds | kubectl apply --server-side -f -"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda crd: None, "ok  CRD {} is this release's"),
        (otherwise_described, "ok  CRD {} is this release's"),
        (without_column, f"!!  CRD {{}} is not this release's: it lacks column Hosts; to update it: {UPDATE}"),
        (
            without_fields,
            "!!  CRD {} is not this release's: it lacks .spec.leafService, .spec.observability; to update it:",
        ),
        (without_version, "!!  CRD {} is not this release's: it lacks version v1alpha1, and has version v1alpha0;"),
        (newer, "??  CRD {} is newer than this program: it has .spec.colour; update this program"),
        (otherwise_checked, "!!  CRD {} is of another release: it differs in .spec.hostReplicas.maximum; where this"),
        (other_column, "!!  CRD {} is of another release: it differs in .columns.Ready.jsonPath; where this"),
        (of_a_chart, "!!  CRD {} is not this release's: it lacks column Hosts; to update it: helm upgrade op -n ops"),
    ],
)
def test_a_crd_of_another_release_is_found_with_what_differs_and_how_to_update_it(
    change: Callable[[dict[str, Any]], None], found: str
) -> None:
    ours = custom_resource_definitions()[0]
    installed = copy.deepcopy(ours)
    installed["metadata"]["uid"] = "u"
    change(installed)
    text = str(doctor.judge_definition(Unstructured.from_body(installed), ours))
    assert text.startswith(found.format("wasmcloudhostconfigs.k8s.wasmcloud.dev")), text


async def test_who_may_not_read_crds_reads_that_they_were_not_looked_at() -> None:
    api = ScriptedApi()
    refused = Answer("read", 403, {"kind": "Status", "reason": "Forbidden", "code": 403})
    api.fail(HOST_CONFIGS, ABSENT, ABSENT, refused)
    lines = [str(finding) for finding in await doctor.kinds(Reader(ScriptedTransport(api)))]
    crd = "wasmcloudhostconfigs.k8s.wasmcloud.dev"
    missing = "you have no right to get customresourcedefinitions.apiextensions.k8s.io"
    assert lines[2:] == [f"??  whether CRD {crd} is this release's cannot be looked at: {missing}"]


async def test_the_pods_of_a_release_with_other_names_are_found() -> None:
    api = ScriptedApi()
    pod = operator_pod("True")
    pod["metadata"]["labels"] |= {"app.kubernetes.io/name": "renamed", "app.kubernetes.io/instance": "x"}
    api.put(POD, pod)
    other = operator_pod("True")
    other["metadata"] |= {"name": "rook", "uid": "r"}
    other["spec"]["containers"][0]["env"] = [{"name": "OPERATOR_NAME", "value": "rook"}]
    api.put(POD, other)
    found = await operator_pods.listed(Reader(ScriptedTransport(api)))
    assert [str(item.metadata.key) for item in found] == ["ops/operator-0"]


def of_pool(**conditions: tuple[str, str]) -> list[str]:
    """What is found of a host config with these conditions: status and message by type."""
    listed = [{"type": type_, "status": status, "message": text} for type_, (status, text) in conditions.items()]
    body = {"metadata": {"name": "pool", "namespace": "team"}, "spec": {}, "status": {"conditions": listed}}
    pool = CUSTOM_RESOURCE.item(json.dumps(body).encode())
    return [str(finding) for finding in doctor.of_snapshot(Snapshot(pools=(pool,)))]


def test_nats_and_wadm_are_as_the_operator_sees_them() -> None:
    nats, wadm = "NATS of host config team/pool", "wadm of host config team/pool"
    assert of_pool(LatticeConnected=("True", ""), WadmConnected=("True", "")) == [
        f"ok  {nats} answers",
        f"ok  {wadm} answers",
    ]
    assert of_pool(LatticeConnected=("True", ""), WadmConnected=("False", "no answer for 60 s")) == [
        f"ok  {nats} answers",
        f"!!  {wadm}: no answer for 60 s",
    ]
    assert of_pool(LatticeConnected=("False", "connection refused")) == [f"!!  {nats}: connection refused"]
    assert of_pool() == [f"??  {nats}: not known yet"]


def ran(*kinds: str, rights: tuple[str, ...] = ()) -> list[doctor.Finding]:
    found = [doctor.Finding(doctor.Health[kind], "x") for kind in kinds]
    return [*found, *(doctor.Finding(doctor.Health.UNKNOWN, "x", right) for right in rights)]


@pytest.mark.parametrize(
    ("findings", "status", "last"),
    [
        (ran("FINE"), 0, []),
        (ran("FINE", "UNKNOWN"), 0, []),
        (ran("FINE", "WRONG"), 1, []),
        (
            ran("FINE", rights=("list pods",)),
            3,
            ["1 check was not made, for which you lack the right to: list pods"],
        ),
        (
            ran("WRONG", rights=("get x", "list pods", "get x")),
            1,
            ["3 checks were not made, for which you lack the right to: get x; list pods"],
        ),
    ],
)
def test_checks_that_were_not_made_for_want_of_rights_are_no_verdict_of_fine(
    findings: list[doctor.Finding], status: int, last: list[str]
) -> None:
    assert (doctor.exit_status(findings), doctor.not_made(findings)) == (status, last)


async def test_who_may_read_nothing_reads_which_rights_each_check_needs() -> None:
    api = ScriptedApi()
    body = {"kind": "Status", "message": "no", "reason": "Forbidden", "code": 403}
    api.fail(*[Answer(kind, 403, body) for kind in ("read", "list") for _ in range(20)])
    nothing = Snapshot(unreadable={"pods": NO_RIGHT, "x.y": "their kind is not installed"})
    findings = await doctor.examine(Reader(ScriptedTransport(api)), nothing)
    assert {finding.health for finding in findings} == {doctor.Health.UNKNOWN}
    assert doctor.exit_status(findings) == 3
    (last,) = doctor.not_made(findings)
    assert last.removeprefix("5 checks were not made, for which you lack the right to: ").split("; ") == [
        "get /version",
        "get /apis/k8s.wasmcloud.dev/v1alpha1",
        "list pods in all namespaces",
        "list leases.coordination.k8s.io in all namespaces",
        "list pods",
    ]


async def test_the_metrics_that_a_user_may_not_fetch_are_a_check_that_was_not_made() -> None:
    api = ScriptedApi()
    api.fail(Answer("read", 403, {"kind": "Status", "message": "no", "reason": "Forbidden", "code": 403}))
    (finding,) = await doctor.operators(Reader(ScriptedTransport(api)), [Unstructured.from_body(operator_pod("True"))])
    assert finding.right == "get pods/proxy in namespace ops"
