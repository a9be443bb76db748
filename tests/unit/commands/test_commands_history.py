"""The way back to a former version: which one, with which patch, and when it is refused."""

from __future__ import annotations

import pytest

from wasmcloud_operator.commands.history import Kept, Refused, before_deployed, kept, other_owner, way_back
from wasmcloud_operator.lattice.content import Content, Owner, to_manifest

SPEC = {"components": [{"name": "web", "type": "component", "properties": {"image": "x:1"}}]}
METADATA = {"namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "7"}


def manifest(owner: Owner, version: str = "1") -> dict[str, object]:
    return to_manifest(
        Content(name="web", annotations={}, labels={}, spec=SPEC, declared_version=None, digest="d"), version, owner
    )


def test_versions_are_those_of_the_status() -> None:
    status = {"versions": ["1", "2"], "deployedVersion": "2"}
    assert kept({"status": status}) == [Kept("1", deployed=False), Kept("2", deployed=True)]
    assert kept({}) == []


def test_without_a_choice_it_is_the_version_before_the_deployed_one() -> None:
    versions = [Kept("1", deployed=False), Kept("2", deployed=True), Kept("3", deployed=False)]
    assert before_deployed(versions) == "1"
    for none in (versions[1:], versions[:1]):
        with pytest.raises(Refused, match="choose with --to"):
            before_deployed(none)
    with pytest.raises(Refused, match="wadm keeps no version of it"):
        before_deployed([])


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:core.oam.dev/Application:a/b"}},
            "(application shop)",
        ),
        ({"managedFields": [{"manager": "argocd-controller"}]}, "revert in Git"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "x"}}, "Flux"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "helm rollback RELEASE"),
        (
            {"managedFields": [{"manager": "helm"}], "annotations": {"meta.helm.sh/release-name": "s"}},
            "helm rollback s",
        ),
        (
            {"managedFields": [{"manager": "helm"}], "annotations": {"meta.helm.sh/release-name": "s; id"}},
            "helm rollback 's; id'",
        ),
        ({"managedFields": [{"manager": "kubectl-client-side-apply"}], "labels": {"a": "b"}}, ""),
    ],
)
def test_an_application_owned_by_a_tool_is_not_rolled_back_here(metadata: dict[str, object], word: str) -> None:
    assert word in other_owner(metadata)
    assert bool(other_owner(metadata)) is bool(word)


def test_the_patch_holds_for_the_object_that_was_read_and_names_the_former_version() -> None:
    mine = manifest(Owner("c", "shop", "web", "u1"))
    assert way_back({"metadata": METADATA}, mine, "1") == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/spec", "value": SPEC},
    ]
    versioned = {**METADATA, "annotations": {"version": "2"}}
    assert way_back({"metadata": versioned}, mine, "1+abc")[-1] == {
        "op": "replace",
        "path": "/metadata/annotations/version",
        "value": "1",
    }


@pytest.mark.parametrize("owner", [Owner("c", "shop", "web", "u2"), Owner("c", "x", "web", "u1"), None])
def test_a_manifest_of_somebody_else_is_refused(owner: Owner | None) -> None:
    found = manifest(owner) if owner else {"metadata": {"annotations": {"version": "1"}}, "spec": SPEC}
    with pytest.raises(Refused, match="not of this Application"):
        way_back({"metadata": METADATA}, found, "1")
