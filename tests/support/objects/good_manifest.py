"""A good manifest for the tests of validation, and ways to spoil it at one place."""

from __future__ import annotations

import copy

DELETE = object()


def link(target="web", *, address="", config="c", **more):
    """An HTTP link to a component; with an address, a configuration of this name has it."""
    if address:
        more["source"] = {"config": [{"name": config, "properties": {"address": address}}]}
    return {
        "type": "link",
        "properties": {
            "namespace": "wasi",
            "package": "http",
            "interfaces": ["incoming-handler"],
            "target": {"name": target},
            **more,
        },
    }


def secret(policy="vault", name="token"):
    return {"name": name, "properties": {"policy": policy, "key": "k"}}


def good():
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "hello-world", "annotations": {"version": "v1", "description": "ünïcode"}},
        "spec": {
            "components": [
                {
                    "name": "web",
                    "type": "component",
                    "properties": {"image": "ghcr.io/x/web:1", "config": [{"name": "c", "properties": {"a": "1"}}]},
                    "traits": [{"type": "spreadscaler", "properties": {"instances": 1}}],
                },
                {
                    "name": "server",
                    "type": "capability",
                    "properties": {"image": "ghcr.io/x/http-server:1", "secrets": [secret()]},
                    "traits": [
                        {
                            "type": "daemonscaler",
                            "properties": {
                                "replicas": 1,
                                "spread": [{"name": "s", "requirements": {"zone": "a"}, "weight": 80}],
                            },
                        },
                        link(source={"config": [{"name": "addr", "properties": {"address": "0.0.0.0:80"}}]}),
                    ],
                },
            ],
            "policies": [
                {"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": {"backend": "nats-kv"}}
            ],
        },
    }


def changed(path, value):
    """The good manifest with one place replaced, added or deleted."""
    manifest = copy.deepcopy(good())
    *parents, last = path
    place = manifest
    for step in parents:
        place = place[step]
    if value is DELETE:
        del place[last]
    elif isinstance(last, int) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return manifest


C0 = ("spec", "components", 0)
C1 = ("spec", "components", 1)
SCALER = (*C0, "traits", 0, "properties")
LINK = (*C1, "traits", 1, "properties")
POLICY = ("spec", "policies", 0)


def warnings(problems):
    return [problem for problem in problems if problem.severity == "warning"]


def where_said(problems, message):
    """The paths of the problems that say this."""
    return [problem.path for problem in problems if message in problem.message]
