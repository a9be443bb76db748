"""What is decided without asking anybody: the next steps in wadm, what is pruned, what a push means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.application.manifest import content_of, deployed_manifest
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta
from wasmcloud_operator.lattice import decision
from wasmcloud_operator.lattice.content import Content, Owner, to_manifest
from wasmcloud_operator.lattice.decision import OwnedByAnother, Run, Stored

ME = Owner("c1", "ns", "app")
OTHER = Owner("c2", "ns", "app")


def content(version: str | None = None, image: str = "x:1") -> Content:
    annotations = {} if version is None else {"version": version}
    return content_of({"name": "app", "annotations": annotations}, {"components": [{"image": image}]})


def stored(*versions: str, deployed: str = "", owner: Owner | None = ME, digest: str | None = None) -> Stored:
    return Stored(versions=versions, deployed=deployed, owner=owner, declared_digest=digest, newest_bytes=100)


def nobody(_: Owner) -> bool:
    return False


def everybody(_: Owner) -> bool:
    return True


def test_an_absent_application_is_put_and_deployed() -> None:
    run = decision.decide(content(), None, ME, everybody)
    assert isinstance(run, Run)
    assert (run.put, run.deploy, run.adopts, run.renamed) == (True, True, False, False)


def test_a_stored_content_is_never_put_again_and_a_deployed_one_never_deployed_again() -> None:
    version = decision.decide(content(), None, ME, everybody).version
    run = decision.decide(content(), stored(version), ME, everybody)
    assert isinstance(run, Run)
    assert (run.put, run.deploy) == (False, True)
    run = decision.decide(content(), stored("old", version, deployed=version), ME, everybody)
    assert isinstance(run, Run)
    assert (run.put, run.deploy) == (False, False)


def test_owners() -> None:
    assert decision.decide(content(), stored("v", owner=OTHER), ME, everybody) == OwnedByAnother(OTHER)
    inherited = decision.decide(content(), stored("v", owner=OTHER), ME, nobody)
    assert isinstance(inherited, Run)
    assert inherited.inherits == OTHER
    adopted = decision.decide(content(), stored("v", owner=None), ME, everybody)
    assert isinstance(adopted, Run)
    assert adopted.adopts


def test_a_declared_version_with_other_content_gets_another_name() -> None:
    run = decision.decide(content("1.0"), stored("1.0", deployed="1.0", digest="other"), ME, everybody)
    assert isinstance(run, Run)
    assert run.renamed
    assert run.put
    assert run.version == f"1.0+{content('1.0').short_digest}"


def test_old_versions_stay_as_long_as_there_are_few_and_they_have_room() -> None:
    sizes = {"a": 300_000, "b": 300_000}
    assert decision.fits(["a", "b"], sizes, 200_000, limit=2, whole=1_000_000)
    assert not decision.fits(["a", "b"], sizes, 200_001, limit=2, whole=1_000_000)
    assert not decision.fits(["a", "b"], sizes, 1, limit=1, whole=1_000_000)
    assert decision.fits([], {}, 1, limit=0, whole=1_000_000)


@given(st.lists(st.integers(1, 300_000), max_size=60), st.integers(0, 12))
def test_the_total_never_comes_near_a_message(puts: list[int], limit: int) -> None:
    """The oldest goes first, the newest runs and stays, and small ones are not measured."""
    whole, stored = 1_000_000, list[int]()
    for new in puts:
        measured = decision.worth_measuring(max([new, *stored[-1:]]), limit, whole)
        while len(stored) > 1:
            names = [str(number) for number in range(len(stored))]
            sizes = dict(zip(names, stored, strict=True)) if measured else {}
            if decision.fits(names, sizes, new, limit=limit, whole=whole):
                break
            stored.pop(0)
        stored.append(new)
        assert sum(stored) <= 0.9 * whole


def test_names_that_only_the_operator_gives() -> None:
    assert decision.made_by_operator("content-0123456789ab")
    assert decision.made_by_operator("1.0+0123456789ab")
    assert not decision.made_by_operator("1.0")
    assert not decision.made_by_operator("content-tool")


def test_an_applications_spec_counts_as_what_wadm_runs_while_its_status_fits_the_spec() -> None:
    spec = {"components": [{"image": "x:1"}]}
    meta = ObjectMeta(name="app", namespace="ns", annotations={"argocd.argoproj.io/sync-wave": "x"})
    digest = content_of({"name": "app"}, spec).digest
    status = {"deployedVersion": "v1", "contentDigest": digest}
    for applied in (spec, {**spec, "policies": None}):
        manifest = deployed_manifest(CustomResource(meta, applied, status), "v1", ME.cluster)
        assert manifest == to_manifest(content_of({"name": "app"}, spec), "v1", ME)
    for item, version in (
        (CustomResource(meta, spec, status), "v2"),
        (CustomResource(meta, {"components": []}, status), "v1"),
        (CustomResource(meta, spec, status | {"contentDigest": "0"}), "v1"),
        (CustomResource(meta, spec, None), "v1"),
        (CustomResource(meta, None, status), "v1"),
    ):
        assert deployed_manifest(item, version, ME.cluster) is None


def test_the_shape_of_scalers_has_what_their_ids_are_made_of() -> None:
    def shape(image: str = "x:1", instances: int = 1, value: str = "1", config_name: str = "c") -> object:
        config = [{"name": config_name, "properties": {"k": value}}]
        scaler = {"type": "spreadscaler", "properties": {"instances": instances}}
        link = {"type": "link", "properties": {"target": {"name": "kv", "config": config}, "namespace": "wasi"}}
        component = {"name": "web", "properties": {"image": image, "config": config}, "traits": [scaler, link]}
        return decision.scaler_shape({"spec": {"components": [component, None, {"name": "bare"}]}})

    assert shape() == shape(instances=2) == shape(value="2")
    assert len({shape(), shape(image="x:2"), shape(config_name="d")}) == 3


def test_a_link_in_the_deprecated_form_has_the_shape_of_what_wadm_makes_of_it() -> None:
    def shape(**link: object) -> object:
        traits = [{"type": "link", "properties": link}]
        return decision.scaler_shape({"spec": {"components": [{"name": "web", "traits": traits}]}})

    settings, of_target = [{"name": "c"}], [{"name": "t"}]
    written = shape(target="kv", source_config=settings, target_config=of_target)
    assert written == shape(target={"name": "kv", "config": of_target}, source={"config": settings})
    assert shape(target="kv", source_config=settings, source={}) == shape(target={"name": "kv"})
