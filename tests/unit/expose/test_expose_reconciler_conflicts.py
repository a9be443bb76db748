"""The reconciler of Services where something stands against them: when it looks again, and whose a Service is."""

from __future__ import annotations

from typing import Any

import pytest

from support.sites.reconciled_services import HERE, SHOP, THERE, Lattice, Site, spec
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.outcomes import Outcome, State
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.contest import Contested, Contests
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.resources import HTTP_ROUTE, SERVICE, Key
from wasmcloud_operator.kube.testing.faults import Answer
from wasmcloud_operator.kube.testing.objects import status
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.legacy.services import FINALIZER
from wasmcloud_operator.names import DELETION_POLICY
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.pools import Pool
from wasmcloud_operator.shared.problem import Problem

# --- when it is looked at again ---------------------------------------------------------------------------------------


async def test_an_obstacle_is_checked_again_soon_and_a_refusal_later(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.result == DONE
    for reason, seconds in ((Reason.ROUTE_CONFLICT, 10.0), (Reason.ROUTE_REFUSED, 60.0)):
        site.routes.problems = [Problem(reason, "", "no")]
        await site.look()
        assert site.result.requeue_after == seconds
    site.routes.problems = []
    site.rust.awaited = True
    await site.look()
    assert site.result.requeue_after == 1.0


async def test_a_strangers_service_is_not_watched_and_so_looked_at_again(site: Site) -> None:
    site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.result.requeue_after == 10.0
    assert list(site.unowned.of(HERE, site.lattice)) == [], "its Application shows it"


async def test_a_problem_of_an_application_over_nats_is_noted_by_its_name(
    site: Site,
) -> None:
    site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.deployed(spec(), owned=False)
    await site.look()
    (problem,) = site.unowned.of(HERE, site.lattice)
    assert (problem.reason, "application shop" in problem.message) == ("Conflict", True)


async def test_before_wadm_has_listed_an_application_without_a_record_is_waited_for(site: Site) -> None:
    site.lattice.ledger.listed = None
    await site.look(Key(HERE, "unknown"))
    assert site.result == Result.waiting("what is deployed in the lattices of its namespace")
    assert site.rust.removed == [], "it may be deployed"
    site.outcomes.put(Key(HERE, "unknown"), Outcome(failures=(Problem(Reason.UNKNOWN, "", ""),)))
    await site.look(Key(HERE, "unknown"))
    assert site.outcomes.get(Key(HERE, "unknown")) is not None
    site.lattice.ledger.listed = ()
    await site.look(Key(HERE, "unknown"))
    assert site.result == DONE
    assert site.outcomes.get(Key(HERE, "unknown")) is None
    assert site.rust.removed == [Key(HERE, "unknown")]


async def test_while_a_host_config_is_not_followed_yet_nothing_is_sure(site: Site) -> None:
    site.config(HERE, "broken")
    await site.look(Key(HERE, "unknown"))
    assert site.result != DONE
    assert site.rust.removed == []


async def test_while_a_configuration_cannot_be_read_nothing_is_sure(site: Site) -> None:
    external = spec()
    del external["components"][0]["traits"][0]["properties"]["source"]["config"][0]["properties"]
    site.deployed(external, owned=False)
    await site.look()
    assert site.states() == [("shop", State.MISSING)]
    site.deployed(external, owned=False, **{naming.SERVICE: "false"})
    await site.look()
    assert site.rust.removed == []


async def test_a_service_that_is_kept_counts_for_what_the_rust_operator_left_and_for_its_routes(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    site.deployed(spec("0.0.0.0:80800"))
    await site.look()
    assert site.rust.removed == []
    assert site.routes.kept == (set(), {"shop"})
    outcome = site.outcomes.get(SHOP)
    assert outcome is not None
    assert outcome.services[0].urls == ("http://shop.here.svc:8080",), "it leads where it led"


# --- whose Service it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leaf", "state"), [({}, State.IN_THE_WAY), ({"enabled": False}, State.LEADS)])
async def test_a_name_that_a_host_configs_own_service_has_is_not_taken(
    site: Site, leaf: dict[str, Any], state: State
) -> None:
    metadata = {"name": "shop", "namespace": HERE}
    site.api.put(HOST_CONFIG, {"metadata": metadata, "spec": {"lattice": "another", "leafService": leaf}})
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.states() == [("shop", state)]


async def test_a_strangers_service_is_not_one_that_is_kept(site: Site) -> None:
    site.api.put(SERVICE, {"metadata": {"name": "shop", "namespace": HERE}, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec("0.0.0.0:80800"))
    await site.look()
    assert site.states() == [("shop", State.MISSING)]


@pytest.mark.parametrize(
    ("resource", "path", "state"),
    [
        (SERVICE, ".spec.ports", State.SET_BACK),
        (SERVICE, ".metadata.labels", State.LEADS),
        (HTTP_ROUTE, ".spec.rules", State.LEADS),
    ],
)
async def test_where_a_service_leads_is_not_known_while_somebody_sets_its_spec_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, resource: Any, path: str, state: State
) -> None:
    contested = Contested(resource, SHOP, path, "kubectl")
    monkeypatch.setattr(Contests, "of", lambda *_: [contested])
    monkeypatch.setattr(Contests, "again", lambda *_: 7.0)
    site.application()
    site.deployed(spec())
    await site.look()
    assert site.states() == [("shop", state)]
    outcome = site.outcomes.get(SHOP)
    assert outcome is not None
    assert [problem.reason for problem in outcome.problems] == ["SetBack"]
    assert site.result.requeue_after == 7.0


async def test_a_service_in_another_namespace_does_not_remember_that_its_application_is_to_be_left(site: Site) -> None:
    site.application(**{DELETION_POLICY: "Orphan"})
    site.deployed(spec())
    here = (await site.look())["shop"]["metadata"]["annotations"]
    there = (await site.look(Key(THERE, "shop")))["shop"]["metadata"]["annotations"]
    assert (naming.ORPHANED in here, naming.ORPHANED in there) == (True, False)


async def test_host_configs_of_another_lattice_own_nothing(site: Site) -> None:
    other, key = Lattice(LatticeRoute(ConnectionSpec(("nats://b:4222",)), "another")), Key(HERE, "another")
    site.config(*key, lattice="another")
    site.pools.held[key] = Pool(key, "uid-another", other, other.route)
    site.deployed(spec(), owned=False)
    made = (await site.look())["shop"]
    assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == ["pool"]


async def test_a_failure_keeps_what_was_known_of_the_services(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    await site.reconciler.report(SHOP, ValueError("no"))
    assert site.states() == [("shop", State.LEADS)]


# --- what a Service cannot change -------------------------------------------------------------------------------------


def refused(field: str) -> Answer:
    return Answer(on="write", code=422, body=status(422, "Invalid", "cannot be changed", field))


TAKEN = Answer(on="write", code=200, body={"metadata": {"name": "trial", "namespace": HERE, "uid": "trial"}})


async def test_a_service_that_has_to_begin_with_another_family_is_made_anew_if_the_new_one_would_be_taken(
    site: Site,
) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    site.deployed(spec("0.0.0.0:8081"))
    site.api.fail(refused("spec.ipFamilies[0]"), refused("spec.clusterIPs"))
    assert (await site.look())["shop"] == made
    assert site.states() == [("shop", State.KEPT)]
    assert site.events.notes == []
    site.api.fail(refused("spec.ipFamilies[0]"), TAKEN)
    await site.look()
    await site.look()
    anew = (await site.look())["shop"]
    assert anew["metadata"]["uid"] != made["metadata"]["uid"]
    assert site.states() == [("shop", State.LEADS)]
    assert [note.partition(" is deleted")[0] for note in site.events.notes] == ["Service here/shop"]


async def test_a_service_whose_change_is_refused_is_shown_as_it_was(site: Site) -> None:
    site.application()
    site.deployed(spec())
    await site.look()
    site.application(**{naming.SERVICE_TYPE: "LoadBalancer"})
    site.api.fail(Answer(on="write", code=403, body=status(403, "Forbidden", "exceeded quota: no load balancers")))
    await site.look()
    assert site.states() == [("shop", State.KEPT)]
    await site.look(Key(THERE, "shop"))
    await site.statuses.reconcile(SHOP)
    item = site.api.get(APPLICATION, SHOP)
    assert item is not None
    assert [entry["urls"] for entry in item["status"]["services"] if entry["namespace"] == HERE] == [
        ["http://shop.here.svc:8080"]
    ]
    [exposed] = item["status"]["conditions"]
    assert (exposed["status"], exposed["reason"]) == ("False", "ServiceRefused")
    assert "exceeded quota" in exposed["message"]


async def test_for_any_other_refusal_no_service_is_deleted(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    site.deployed(spec("0.0.0.0:8081"))
    site.api.fail(refused("spec.ports[0].port"))
    site.api.requests.clear()
    assert (await site.look())["shop"] == made
    assert [request.method for request in site.api.requests if request.method != "GET"] == ["PATCH"]


async def test_a_service_that_finalizers_hold_is_waited_for_and_not_deleted_once_more(site: Site) -> None:
    site.application()
    site.deployed(spec())
    made = (await site.look())["shop"]
    going = {**made["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["of.others/one"]}
    site.api.put(SERVICE, {**made, "metadata": going})
    site.deployed(spec("0.0.0.0:8081"))
    site.api.fail(refused("spec.ipFamilies[0]"))
    site.api.requests.clear()
    await site.look()
    assert [request.method for request in site.api.requests if request.method != "GET"] == ["PATCH"]
    assert site.states() == [("shop", State.MISSING)]
    outcome = site.outcomes.get(SHOP)
    assert outcome is not None
    assert [problem.reason for problem in outcome.problems] == ["ServiceBeingReplaced"]


async def test_a_service_of_the_operator_written_in_rust_is_taken_over(site: Site) -> None:
    metadata = {"name": "shop", "namespace": HERE, "finalizers": [FINALIZER]}
    theirs = site.api.put(SERVICE, {"metadata": metadata, "spec": {"type": "ClusterIP"}})
    site.application()
    site.deployed(spec())
    taken = (await site.look())["shop"]
    assert taken["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert site.states() == [("shop", State.LEADS)]
