"""What wadm is sent of a resource, under which version, and what is read back."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.application.manifest import content_of, passed_metadata, without_nulls
from wasmcloud_operator.lattice.content import (
    Owner,
    VersionChoice,
    choose_version,
    digest_of,
    draft,
    owner_of,
    to_manifest,
)
from wasmcloud_operator.manifest.validation import errors, validate

OWNER = Owner("c1", "team-a", "hello")
SPEC = {"components": [{"name": "web", "type": "component", "properties": {"image": "x:1"}}]}


def metadata(**annotations):
    return {"name": "hello", "namespace": "team-a", "annotations": annotations}


@pytest.mark.parametrize(
    ("key", "passes"),
    [
        ("version", True),
        ("description", True),
        ("wasmcloud.dev/x", True),
        ("experimental.wasmcloud.dev/shared", True),
        ("k8s.wasmcloud.dev/paused", False),
        ("operator.k8s.wasmcloud.dev/x", False),
        ("kubectl.kubernetes.io/last-applied-configuration", False),
        ("argocd.argoproj.io/tracking-id", False),
        ("kustomize.toolkit.fluxcd.io/name", False),
        ("meta.helm.sh/release-name", False),
        ("config.kubernetes.io/origin", False),
        ("3scale.net/team", False),
        ("notwasmcloud.dev/x", True),
        ("backstage.io/kubernetes-id", True),
        ("team", True),
    ],
)
def test_all_annotations_but_those_of_tools_reach_wadm(key, passes):
    content = content_of({"name": "hello", "annotations": {key: "v"}}, SPEC)
    sent = to_manifest(content, "1", OWNER)["metadata"]["annotations"]
    assert (key in sent) is passes


def test_labels_pass_by_the_same_rule():
    labels = {"team": "a", "kustomize.toolkit.fluxcd.io/name": "x", "a.wasmcloud.dev/b": "c"}
    content = content_of({"name": "hello", "labels": labels}, SPEC)
    passed = {"team": "a", "a.wasmcloud.dev/b": "c"}
    assert to_manifest(content, "1", OWNER)["metadata"]["labels"] == passed
    assert passed_metadata(labels) == passed


def test_annotations_of_other_domains_are_no_content():
    def digest(**metadata):
        return content_of({"name": "hello", **metadata}, SPEC).digest

    assert digest(annotations={"backstage.io/kubernetes-id": "a"}, labels={"team": "a"}) == digest()
    assert digest(annotations={"description": "a"}) != digest()
    assert digest(labels={"experimental.wasmcloud.dev/a": "a"}) != digest()


def test_the_manifest_is_one_that_wadm_takes_and_holds_nothing_else_of_the_resource():
    resource = metadata() | {"uid": "u", "resourceVersion": "5", "managedFields": [{}], "finalizers": ["f"]}
    manifest = to_manifest(content_of(resource, SPEC), "1", OWNER)
    assert errors(validate(manifest)) == []
    assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert manifest["metadata"].keys() == {"name", "annotations"}
    assert manifest["spec"] == SPEC


def test_owner_and_digest_are_read_back():
    content = content_of(metadata(), SPEC)
    manifest = to_manifest(content, "1", OWNER)
    assert owner_of(manifest) == OWNER
    assert digest_of(manifest) == content.digest
    assert str(OWNER) == "team-a/hello in cluster c1"


@pytest.mark.parametrize("manifest", [{}, {"metadata": None}, {"metadata": {"annotations": {"version": "1"}}}])
def test_a_manifest_put_by_others_has_neither(manifest):
    assert owner_of(manifest) is None
    assert digest_of(manifest) is None


def test_half_an_owner_is_none():
    manifest = to_manifest(content_of(metadata(), SPEC), "1", OWNER)
    del manifest["metadata"]["annotations"]["k8s.wasmcloud.dev/owner-name"]
    assert owner_of(manifest) is None


def test_the_digest_is_of_what_wadm_runs_alone():
    base = content_of(metadata(), SPEC)
    noise = metadata(
        **{"kubectl.kubernetes.io/last-applied-configuration": "{}", "k8s.wasmcloud.dev/paused": "true", "version": "9"}
    )
    assert content_of(noise, SPEC).digest == base.digest
    assert content_of(metadata(description="new"), SPEC).digest != base.digest
    assert content_of(metadata() | {"name": "other"}, SPEC).digest != base.digest
    other = copy.deepcopy(SPEC)
    other["components"][0]["properties"]["image"] = "x:2"
    assert content_of(metadata(), other).digest != base.digest


def test_null_fields_are_as_if_left_out():
    component = {**SPEC["components"][0], "traits": None}
    component["properties"] = {**component["properties"], "id": None, "config": None, "application": None}
    assert without_nulls({"components": [component], "policies": None}) == SPEC


def test_the_digest_does_not_depend_on_the_order_of_keys():
    reversed_spec = {"components": [dict(reversed(SPEC["components"][0].items()))]}
    assert content_of(metadata(), reversed_spec).digest == content_of(metadata(), SPEC).digest


def test_the_digest_stays_the_same_between_releases():
    assert content_of(metadata(description="d"), SPEC).digest == (
        "f745dca4b1aae5d96da1eeb04cc045569beb6aab00035d40238372d4c7c7b4be"
    )


UNDECLARED = content_of(metadata(), SPEC)
DECLARED = content_of(metadata(version="1.0"), SPEC)
MADE = f"content-{UNDECLARED.short_digest}"
RENAMED = f"1.0+{DECLARED.short_digest}"


@pytest.mark.parametrize(
    ("content", "stored", "declared_digest", "choice"),
    [
        (UNDECLARED, [], None, VersionChoice(MADE, stored=False, renamed=False)),
        (UNDECLARED, [MADE], None, VersionChoice(MADE, stored=True, renamed=False)),
        (UNDECLARED, ["1.0", "content-000000000000"], None, VersionChoice(MADE, stored=False, renamed=False)),
        (DECLARED, [], None, VersionChoice("1.0", stored=False, renamed=False)),
        (DECLARED, ["0.9"], None, VersionChoice("1.0", stored=False, renamed=False)),
        (DECLARED, ["1.0"], DECLARED.digest, VersionChoice("1.0", stored=True, renamed=False)),
        (DECLARED, ["1.0"], "other", VersionChoice(RENAMED, stored=False, renamed=True)),
        (DECLARED, ["1.0"], None, VersionChoice(RENAMED, stored=False, renamed=True)),
        (DECLARED, ["1.0", RENAMED], "other", VersionChoice(RENAMED, stored=True, renamed=True)),
        # the version that a change was named after has been pruned: the content keeps its name
        (DECLARED, [RENAMED], None, VersionChoice(RENAMED, stored=True, renamed=True)),
    ],
)
def test_versions(content, stored, declared_digest, choice):
    assert choose_version(content, stored, declared_digest) == choice


@pytest.mark.parametrize(
    ("annotations", "sent"),
    [({}, {}), ({"version": "latest"}, {"version": "latest"}), ({"k8s.wasmcloud.dev/paused": "true"}, {})],
)
def test_a_draft_is_what_the_user_wrote(annotations, sent):
    assert draft(content_of(metadata(**annotations), SPEC)) == {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "hello", "annotations": sent},
        "spec": SPEC,
    }


def test_an_empty_version_is_none():
    assert content_of(metadata(version=""), SPEC) == content_of(metadata(), SPEC)


def test_latest_is_found_by_validation_of_the_draft():
    problems = errors(validate(draft(content_of(metadata(version="latest"), SPEC))))
    assert [problem.path for problem in problems] == ["metadata.annotations.version"]


def test_latest_is_never_put():
    with pytest.raises(ValueError, match="reserved"):
        to_manifest(DECLARED, "latest", OWNER)


@given(images=st.lists(st.sampled_from("abc"), min_size=1, max_size=8), version=st.none() | st.just("1.0"))
def test_no_content_is_put_twice_and_the_chosen_version_always_holds_the_content(images, version):
    """A user goes back and forth between contents under one version or none."""
    wadm: dict[str, str] = {}
    puts = []
    for image in images:
        spec = {"components": [{"name": "w", "type": "component", "properties": {"image": image}}]}
        content = content_of(metadata(**({"version": version} if version else {})), spec)
        choice = choose_version(content, list(wadm), wadm.get(version or ""))
        if not choice.stored:
            assert choice.version not in wadm
            puts.append(content.digest)
            wadm[choice.version] = content.digest
        assert wadm[choice.version] == content.digest
    assert len(puts) == len(set(puts))
