"""From when and until when a pool is in its lattice, and what is remembered of it: one memory a host config."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from support.sites.reconciled_pool import KEY, PAUSED, REFUSED
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.reconciler import parsed
from wasmcloud_operator.kube.controller import DONE


async def test_a_config_that_takes_the_name_of_another_at_once_is_in_its_lattice(site):
    site.config("u1")
    await site.look()
    lattice = site.pools.get(KEY).lattice
    site.config("u2")  # deleted and made anew between two looks
    await site.look()
    assert site.pools.get(KEY).uid == "u2"
    assert site.pools.get(KEY).lattice is lattice


@pytest.mark.parametrize("known", [True, False], ids=["seen before", "since the start"])
async def test_a_config_that_cannot_be_read_is_not_taken_for_deleted(site, known):
    site.config()
    await site.look()
    pool = site.pools.get(KEY)
    assert pool is not None
    if not known:
        del site.configs[KEY]
    site.configs.unreadable[KEY] = "2"
    site.conditions = {}
    result = await site.look()
    assert result.waits_for == "a state of the object that can be read"
    assert (site.pools.get(KEY), site.conditions) == (pool, {})
    site.configs.clear()
    site.configs.unreadable.clear()
    await site.look()
    assert site.pools.get(KEY) is None


async def test_a_config_that_is_going_takes_its_pool_along(site):
    site.config()
    await site.look()
    site.forgotten.clear()
    site.annotate({}, deletion_timestamp="2026-01-01T00:00:00Z")
    assert await site.look() == DONE
    assert site.pools.get(KEY) is None
    assert site.rust.asked[-2:] == ["release", "forget"]
    assert set(site.forgotten) == {"children", "registries"}


async def test_a_config_that_is_gone_takes_its_pool_along(site):
    site.config()
    await site.look()
    del site.configs[KEY]
    assert await site.look() == DONE
    assert site.pools.get(KEY) is None
    assert site.rust.asked[-1] == "forget"
    assert "release" not in site.rust.asked


async def test_a_new_config_of_the_same_name_inherits_no_memory(site):
    site.config("u1")
    await site.look()
    site.forgotten.clear()
    await site.look()
    assert "children" not in site.forgotten
    site.config("u2")
    await site.look()
    assert "children" in site.forgotten


async def test_a_paused_pool_is_in_its_lattice_and_nothing_of_it_is_applied(site):
    site.config()
    site.annotate(PAUSED)
    site.refusal = REFUSED  # it would be shown
    await site.look()
    assert site.pools.get(KEY).lattice.name == "blue"
    assert site.conditions == {"Paused": ("True", "Paused", "")}
    item = site.configs[KEY]
    site.configs[KEY] = replace(item, spec={**item.spec, "lattice": "green"})
    await site.look()
    assert site.pools.get(KEY).lattice.name == "blue", "it stays where it was when it was paused"


async def test_a_paused_pool_whose_secret_is_missing_is_in_no_lattice(site):
    site.config(secretName="keys")
    site.annotate(PAUSED)
    await site.look()
    assert site.pools.get(KEY) is None


async def test_the_pool_is_in_its_lattice_before_its_children_are_applied(site):
    site.config()
    await site.look()
    assert site.declared is not None


async def test_a_secret_that_only_nats_finds_wrong_leaves_the_pool_where_it_was(site):
    site.config()
    await site.look()
    lattice = site.pools.get(KEY).lattice
    site.config(secretName="keys")
    await site.look()
    assert site.conditions["SecretsValid"][:2] == ("False", "SecretNotFound")
    assert site.pools.get(KEY).lattice is lattice


async def test_running_hosts_learn_their_registries_once_where_their_environment_does_not_have_them(site):
    site.config()
    await site.look()
    spec = parsed(site.configs[KEY]).spec
    keep = site.reconciler._keep_hosts_informed
    site.forgotten.clear()
    for registries, due, sent in (
        (("a", "b"), True, [KEY]),
        (("a", "b"), False, []),
        (("a",), True, []),
        ((), True, []),
    ):
        site.sent.clear()
        site.registries_due = due
        keep(KEY, spec, Facts(registries=registries))
        assert site.sent == sent
    assert site.forgotten == ["registries", "registries"]
