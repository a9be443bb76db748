"""Validation against the wadm that it speaks for: what passes here is never refused there.

The other direction is not tried: a link whose package is a number, say, makes wadm's API go silent for good.
"""

from __future__ import annotations

import copy
import json
import random

import nats
import pytest

from testbed import NatsServer
from wasmcloud_operator.application.manifest import content_of
from wasmcloud_operator.lattice.content import Owner, choose_version, digest_of, owner_of, to_manifest
from wasmcloud_operator.lattice.decision import scaler_shape
from wasmcloud_operator.manifest.validation import errors, validate

LINK = {"namespace": "wasi", "package": "http", "interfaces": ["incoming-handler"], "target": {"name": "web"}}
SECRET = {"name": "s", "properties": {"policy": "vault", "key": "k"}}
MANIFEST = {
    "apiVersion": "core.oam.dev/v1beta1",
    "kind": "Application",
    "metadata": {"name": "hello", "annotations": {"version": "v1", "description": "ünïcode"}, "labels": {"a/b": "c"}},
    "spec": {
        "components": [
            {
                "name": "web",
                "type": "component",
                "properties": {"image": "x/web:1", "id": "web", "config": [{"name": "c", "properties": {"a": "1"}}]},
                "traits": [
                    {"type": "spreadscaler", "properties": {"instances": 1}},
                    {"type": "later", "properties": {"x": [1, None]}},
                ],
            },
            {
                "name": "server",
                "type": "capability",
                "properties": {"image": "x/http-server:1", "secrets": [SECRET]},
                "traits": [
                    {
                        "type": "daemonscaler",
                        "properties": {
                            "replicas": 1,
                            "spread": [{"name": "s", "requirements": {"zone": "a"}, "weight": 80}],
                        },
                    },
                    {
                        "type": "link",
                        "properties": LINK | {"source": {"config": [{"name": "at", "properties": {"a": "b"}}]}},
                    },
                    {
                        "type": "link",
                        "properties": LINK | {"name": "old", "target": "web", "target_config": [{"name": "c"}]},
                    },
                ],
            },
            {"name": "shared", "type": "actor", "properties": {"application": {"name": "other", "component": "c"}}},
        ],
        "policies": [
            {"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": {"backend": "nats-kv"}}
        ],
    },
}  # fmt: skip

VALUES = [None, 0, -1, 1.5, True, "", "web", "x", "latest", "a.b", [], ["a"], {}, {"name": "web"}, {"a": "b"}, {"a": 1}]
VALUES += ["capability", "link", "spreadscaler", "mine", LINK, SECRET, 2**64, {"name": "a", "component": "b"}]
FIELDS = [
    "name",
    "type",
    "properties",
    "traits",
    "image",
    "application",
    "id",
    "config",
    "secrets",
    "instances",
    "spread",
]
FIELDS += [
    "replicas",
    "weight",
    "requirements",
    "target",
    "source",
    "source_config",
    "target_config",
    "policies",
    "x",
    "-",
]


def places(value, path=()):
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from places(child, (*path, step))


def at(value, path):
    for step in path:
        value = value[step]
    return value


def mutant(source: random.Random):
    """The manifest with one to three faults, or harmless changes."""
    manifest = copy.deepcopy(MANIFEST)
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        path = source.choice(list(places(manifest["spec"])) + list(places(manifest["metadata"])))
        root = manifest["spec"] if path[0] in manifest["spec"] else manifest["metadata"]
        parent, last = at(root, path[:-1]), path[-1]
        node = parent[last]
        match source.randrange(4):
            case 0:
                del parent[last]
            case 1 if isinstance(node, dict):
                node[source.choice(FIELDS)] = copy.deepcopy(source.choice(VALUES))
            case 1 | 2 if isinstance(node, list):
                node.append(copy.deepcopy(source.choice([*node, *VALUES])))
            case _:
                parent[last] = copy.deepcopy(source.choice(VALUES))
    return manifest


@pytest.fixture
async def put(nats_server: NatsServer, wadm):
    """Puts a manifest into a lattice. Returns wadm's words for refusing it, or None."""
    client = await nats.connect(nats_server.url)

    async def put(manifest, lattice):
        subject = f"wadm.api.{lattice}.model.put"
        body = json.dumps(manifest).encode()
        try:
            answer = await client.request(subject, body, timeout=60, headers={"Content-Type": "application/json"})
        except nats.errors.TimeoutError:
            return "no answer"
        said = json.loads(answer.data)
        return said["message"] if said["result"] == "error" else None

    put.client = client
    yield put
    await client.close()


async def stored_in(put, lattice, manifest):
    """What wadm has made of a manifest."""
    subject = f"wadm.api.{lattice}.model.get.{manifest['metadata']['name']}"
    answer = await put.client.request(subject, b"{}", timeout=60)
    return json.loads(answer.data)["manifest"]


async def test_the_unchanged_manifest_passes_in_both(put):
    assert errors(validate(MANIFEST)) == []
    assert await put(MANIFEST, "rules-unchanged") is None


@pytest.mark.parametrize("seed", range(4))
async def test_a_manifest_that_passes_validation_is_never_refused_by_wadm_and_starts_the_same(put, seed):
    source = random.Random(seed)
    passed = 0
    for number in range(150):
        manifest = mutant(source)
        found = errors(validate(manifest))
        if found:
            continue
        passed += 1
        lattice = f"rules-{seed}-{number}"
        assert await put(manifest, lattice) is None, json.dumps(manifest)
        assert scaler_shape(await stored_in(put, lattice, manifest)) == scaler_shape(manifest), json.dumps(manifest)
    assert passed >= 15


async def test_a_manifest_of_ours_comes_back_with_its_owner_and_digest(put):
    metadata = {"name": "hello", "annotations": {"version": "1.0", "argocd.argoproj.io/tracking-id": "x"}}
    content = content_of(metadata, MANIFEST["spec"])
    choice = choose_version(content, [], None)
    owner = Owner("cluster", "team-a", "hello")
    assert await put(to_manifest(content, choice.version, owner), "owned") is None
    stored = await stored_in(put, "owned", MANIFEST)
    assert owner_of(stored) == owner
    assert digest_of(stored) == content.digest
    assert stored["metadata"]["annotations"].keys() & metadata["annotations"].keys() == {"version"}
    assert choose_version(content, ["1.0"], digest_of(stored)).stored
