"""The table of field types agrees with the API server, also on the zero values that it leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.kube.field_types import omitted_zeros, types_of
from support.kube.live import KubeLive
from testbed import Admin, ControlPlane
from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.difference import difference
from wasmcloud_operator.kube.field_shapes import Items, Shape, Type
from wasmcloud_operator.kube.field_table import TYPES
from wasmcloud_operator.kube.fields import field, is_omitted, key_of, root
from wasmcloud_operator.kube.resources import DEPLOYMENT, SERVICE, Resource

pytestmark = pytest.mark.asyncio(loop_scope="session")

# An older server has fewer fields, some of which are gone by now.
_OLDER = "TESTBED_API_SERVER" in os.environ


async def test_the_table_is_what_the_api_server_publishes(admin: Admin) -> None:
    published = await types_of(admin)
    if not _OLDER:
        assert {name: found.fields for name, found in published.items() if found.fields} == {
            name: known.fields for name, known in TYPES.items() if known.fields
        }, "run `make fields`"
        return
    different = [
        f"{name}.{each}"
        for name, found in published.items()
        for each, shape in found.fields.items()
        if (known := TYPES.get(name, Type({})).fields.get(each)) is not None and known != shape
    ]
    assert not different, "merged in another way by this version"


async def test_the_omitted_zeros_are_those_of_the_go_types() -> None:
    zeros = omitted_zeros()
    assert {name: known.omitted for name, known in TYPES.items()} == {
        name: zeros.get(name, frozenset()) for name in TYPES
    }


def _deployment(namespace: str) -> JsonObject:
    probe = {"initialDelaySeconds": 0, "periodSeconds": 0, "tcpSocket": {"port": 80, "host": ""}}
    container = {
        "name": "c",
        "image": "i",
        "command": [],
        "workingDir": "",
        "terminationMessagePath": "",
        "imagePullPolicy": "",
        "tty": False,
        "stdin": False,
        "stdinOnce": False,
        "env": [{"name": "A", "value": ""}],
        "ports": [{"containerPort": 80, "hostPort": 0, "hostIP": "", "name": ""}],
        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False, "subPath": "", "subPathExpr": ""}],
        "readinessProbe": probe,
        "securityContext": {
            "runAsUser": 0,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": False,
        },
        "resources": {"limits": {}, "requests": {"cpu": "0.25"}},
    }
    pod = {
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "nodeName": "",
        "hostname": "",
        "subdomain": "",
        "priorityClassName": "",
        "schedulerName": "",
        "dnsPolicy": "",
        "restartPolicy": "",
        "nodeSelector": {},
        "overhead": {"cpu": "0.25"},
        "runtimeClassName": "r",
        "tolerations": [],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": False, "fsGroup": 0},
        "containers": [container],
        "volumes": [
            {"name": "v", "emptyDir": {"medium": "", "sizeLimit": "1024Mi"}},
            {"name": "s", "secret": {"secretName": "s", "optional": False, "items": []}},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "zeros", "namespace": namespace, "labels": {}, "annotations": {"a": ""}},
        "spec": {
            "replicas": 0,
            "minReadySeconds": 0,
            "paused": False,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": {"a": "", "b": "c"}},
            "template": {"metadata": {"labels": {"a": "", "b": "c"}}, "spec": pod},
        },
    }


def _service(namespace: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "zeros", "namespace": namespace},
        "spec": {
            "publishNotReadyAddresses": False,
            "sessionAffinity": "",
            "externalName": "",
            "selector": {},
            "ports": [{"port": 80, "name": "", "nodePort": 0}],
        },
    }


@pytest.mark.parametrize(("resource", "made"), [(DEPLOYMENT, _deployment), (SERVICE, _service)])
async def test_zero_values_are_left_out_and_kept_as_the_table_has_it(
    control_plane: ControlPlane, namespace: str, resource: Resource, made
) -> None:
    desired = made(namespace)
    async with KubeLive.open(control_plane.kubeconfig) as live:
        applied = await live.client.apply(resource, desired, UNSTRUCTURED, dry_run=True)
    found = list(_zeros(desired, applied.body, root(desired), ""))
    assert len(found) > 3
    assert [path for path, omitted, kept in found if omitted == kept] == []
    # Where the API server fills a default in for the zero value, that is what is there.
    wanted = _without_defaulted(desired, applied.body, root(desired))
    assert difference(wanted, applied.body) is None


def _zeros(desired: Json, live: Json, shape: Shape | None, path: str) -> Iterator[tuple[str, bool, bool]]:
    """Each scalar zero value: its path, whether the table has it as omitted, whether it was kept."""
    for name, value in desired.items():
        where, inner = f"{path}.{name}", field(shape, name, value)
        if isinstance(value, dict):
            yield from _zeros(value, live.get(name, {}), inner, where)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict) and isinstance(inner, Items):
                    same = next(each for each in live[name] if key_of(inner, each) == key_of(inner, item))
                    yield from _zeros(item, same, inner.of, f"{where}[{item.get('name')}]")
        elif value in (False, 0, ""):
            yield where, is_omitted(shape, name, value), live.get(name) == value


def _without_defaulted(desired: JsonObject, live: JsonObject, shape: Shape | None) -> JsonObject:
    result = {}
    for name, value in desired.items():
        inner = field(shape, name, value)
        if isinstance(value, dict):
            result[name] = _without_defaulted(value, live.get(name, {}), inner)
        elif isinstance(value, list) and value and isinstance(value[0], dict) and isinstance(inner, Items):
            pairs = [
                (item, next(each for each in live[name] if key_of(inner, each) == key_of(inner, item)))
                for item in value
            ]
            result[name] = [_without_defaulted(item, same, inner.of) for item, same in pairs]
        elif not (is_omitted(shape, name, value) and name in live):
            result[name] = value
    return result
