"""Which pods carry which labels: cases, and the rule itself on random manifests, inventories and pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.placement import label_patch, serving
from wasmcloud_operator.lattice.host_types import APPSPEC_ANNOTATION, Host, Provider

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def host(name: str, age: float | None, *providers: tuple[str, str], inventoried: bool = True) -> Host:
    """A host that started `age` seconds ago with providers (application, id)."""
    return Host(
        name,
        0.0,
        started_at=None if age is None else NOW - timedelta(seconds=age),
        providers=MappingProxyType(
            {key: Provider(key, "x", MappingProxyType({APPSPEC_ANNOTATION: app})) for app, key in providers}
        ),
        inventoried=inventoried,
    )


def test_the_patch_is_the_difference_alone() -> None:
    held = {
        "app": "x",
        naming.serves_label("a"): "true",
        naming.serves_label("b"): "true",
        naming.serves_label("c"): "no",
    }
    assert label_patch(held, ["b", "c", "d"]) == {
        naming.serves_label("a"): None,
        naming.serves_label("c"): "true",
        naming.serves_label("d"): "true",
    }
    assert label_patch(held, ["b", "c", "d"], keep=["a"]).get(naming.serves_label("a"), "kept") == "kept"
    assert label_patch({"app": "x"}, []) == {}


APPS = st.sampled_from(["a", "b", "c"])
PROVIDERS = st.tuples(APPS, st.sampled_from(["p", "q"]))
SERVICES = st.dictionaries(PROVIDERS, st.lists(st.sampled_from(["s1", "s2", "s3"]), min_size=1, max_size=2))


@given(
    running=st.lists(PROVIDERS, max_size=6, unique_by=lambda provider: provider[1]),
    services=SERVICES,
    held=st.sets(st.sampled_from(["s1", "s2", "s3", "gone"])),
    others=st.dictionaries(st.sampled_from(["app", "team"]), st.just("x")),
)
def test_after_the_patch_exactly_the_services_whose_provider_runs_are_on_the_pod(
    running: list[tuple[str, str]],
    services: dict[tuple[str, str], list[str]],
    held: set[str],
    others: dict[str, str],
) -> None:
    labels = {**others, **{naming.serves_label(service): "true" for service in held}}
    patch = label_patch(labels, serving(host("h", 1, *running), services))
    after = {key: value for key, value in {**labels, **patch}.items() if value is not None}
    expected = {service for provider in running for service in services.get(provider, ())}
    assert {key for key in after if key.startswith(naming.SERVES_PREFIX)} == set(map(naming.serves_label, expected))
    assert {key: value for key, value in after.items() if not key.startswith(naming.SERVES_PREFIX)} == others
    assert label_patch(after, expected) == {}, "the second time there is nothing to write"
