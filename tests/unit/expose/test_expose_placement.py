"""Which pods carry which labels: cases, and the rule itself on random manifests, inventories and pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.annotations import Options
from wasmcloud_operator.expose.placement import LabelVerdict, PodFacts, can_serve, judge, label_patch, runs, serving
from wasmcloud_operator.expose.plan import PlannedService
from wasmcloud_operator.lattice.host_types import APPSPEC_ANNOTATION, Host, Provider, RunningComponent
from wasmcloud_operator.manifest.http_endpoints import HttpProvider
from wasmcloud_operator.shared.hosts_in_pods import HostState, PodHost

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def host(name: str, age: float | None, *providers: tuple[str, str], inventoried: bool = True) -> Host:
    """A host that started `age` seconds ago with providers (application, id)."""
    return Host(
        id=name,
        last_seen=0.0,
        started_at=None if age is None else NOW - timedelta(seconds=age),
        providers=MappingProxyType(
            {key: Provider(key, "x", MappingProxyType({APPSPEC_ANNOTATION: app})) for app, key in providers}
        ),
        inventoried=inventoried,
    )


HEARD = host("h", 600)  # at 0 s
UNHEARD, STOPPED = PodHost(HostState.UNHEARD), PodHost(HostState.STOPPED)
LIVE, SILENT = PodHost(HostState.LIVE, HEARD), PodHost(HostState.SILENT, HEARD)
PROBED, PLAIN = PodFacts(ready=True, probed=True, container_age=700), PodFacts(ready=True, probed=False)


@pytest.mark.parametrize(
    ("found", "pod", "expected"),
    [
        pytest.param(LIVE, PROBED, LabelVerdict.AS_REPORTED, id="it lives"),
        pytest.param(
            LIVE, replace(PLAIN, ready=False), LabelVerdict.AS_REPORTED, id="Kubernetes knows the readiness itself"
        ),
        pytest.param(
            PodHost(HostState.LIVE, host("h", None, inventoried=False)), PROBED, LabelVerdict.KEEP, id="just heard"
        ),
        pytest.param(STOPPED, PROBED, LabelVerdict.NONE, id="it said that it stops"),
        pytest.param(SILENT, PROBED, LabelVerdict.AS_REPORTED, id="its leaf is cut off, and Kubernetes finds it ready"),
        pytest.param(SILENT, replace(PROBED, ready=False), LabelVerdict.NONE, id="not ready"),
        pytest.param(SILENT, replace(PROBED, container_age=60), LabelVerdict.NONE, id="restarted since it was heard"),
        pytest.param(
            SILENT, replace(PROBED, container_age=99), LabelVerdict.AS_REPORTED, id="restarted just when it was heard"
        ),
        pytest.param(
            SILENT, replace(PROBED, container_age=98), LabelVerdict.AS_REPORTED, id="as late as a clock may be wrong"
        ),
        pytest.param(
            PodHost(HostState.SILENT, replace(HEARD, last_seen=50.0)),
            replace(PROBED, container_age=60),
            LabelVerdict.AS_REPORTED,
            id="heard after its container had started",
        ),
        pytest.param(SILENT, PLAIN, LabelVerdict.NONE, id="nobody probes it: silence counts"),
        pytest.param(SILENT, replace(PLAIN, ready=False), LabelVerdict.NONE, id="nobody probes it, not ready"),
        pytest.param(UNHEARD, PROBED, LabelVerdict.KEEP, id="never heard, but Kubernetes finds it ready"),
        pytest.param(UNHEARD, PLAIN, LabelVerdict.NONE, id="never heard, and nobody probes it"),
        pytest.param(UNHEARD, replace(PROBED, ready=False), LabelVerdict.NONE, id="never heard, not ready"),
    ],
)
def test_each_state_of_a_pods_host_has_its_verdict(found: PodHost, pod: PodFacts, expected: LabelVerdict) -> None:
    assert judge(found, pod, now=100.0, settled=True, most_silent=lambda: False) is expected


@pytest.mark.parametrize("found", [SILENT, UNHEARD])
def test_silence_of_most_of_a_lattice_is_the_networks(found: PodHost) -> None:
    def judged(pod: PodFacts) -> LabelVerdict:
        return judge(found, pod, now=100.0, settled=True, most_silent=lambda: True)

    assert judged(PLAIN) is LabelVerdict.KEEP_FOR_NOW
    assert judged(replace(PLAIN, ready=False)) is LabelVerdict.NONE


@pytest.mark.parametrize("ready", [True, False])
def test_until_every_host_had_time_to_be_heard_nothing_is_taken_away(ready: bool) -> None:
    pod = PodFacts(ready=ready, probed=False)
    assert judge(UNHEARD, pod, now=100.0, settled=False, most_silent=lambda: False) is LabelVerdict.KEEP


def test_a_provider_runs_where_its_own_application_has_it() -> None:
    found = host("h", 1, ("app", "p"))
    assert runs(found, ("app", "p"))
    assert not runs(found, ("other", "p"))
    assert not runs(found, ("app", "q"))


def test_a_provider_that_serves_only_components_beside_it_needs_one_there() -> None:
    anywhere = HttpProvider(component="http", application="app", id="p", endpoints=())
    beside = replace(anywhere, local=frozenset({"a", "b"}))
    with_b = replace(HEARD, components=MappingProxyType({"b": RunningComponent("app")}))
    assert can_serve(HEARD, anywhere)
    assert can_serve(with_b, beside)
    assert not can_serve(HEARD, beside)


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
    assert (
        label_patch(held, ["b", "c", "d"], keep=lambda service: service == "a").get(naming.serves_label("a"), "kept")
        == "kept"
    )
    assert label_patch({"app": "x"}, []) == {}


def planned(provider: tuple[str, str], services: dict[tuple[str, str], list[str]]) -> list[PlannedService]:
    application, provider_id = provider
    server = HttpProvider(component="http", application=application, id=provider_id, endpoints=())
    return [PlannedService(name, application, server, Options()) for name in services.get(provider, ())]


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
    patch = label_patch(labels, serving(host("h", 1, *running), lambda provider: planned(provider, services)))
    after = {key: value for key, value in {**labels, **patch}.items() if value is not None}
    expected = {service for provider in running for service in services.get(provider, ())}
    assert {key for key in after if key.startswith(naming.SERVES_PREFIX)} == set(map(naming.serves_label, expected))
    assert {key: value for key, value in after.items() if not key.startswith(naming.SERVES_PREFIX)} == others
    assert label_patch(after, expected) == {}, "the second time there is nothing to write"
