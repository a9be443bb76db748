"""Whatever an outsider sends is parsed in little time, and refused by name or taken, without a secret in the words."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hostile.parsers import TARGETS, WORST, Target, inputs
from wasmcloud_operator.hostpool.docker_config import RegistryError, parse_docker_config
from wasmcloud_operator.lattice.host_events import Inventory, parse_event

_SECONDS = 2.0  # of processor time for a mebibyte; quadratic parsers need minutes


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_of_a_mebibyte_holds_the_event_loop(target: Target) -> None:
    slow = {}
    for name, data in WORST.items():
        began = time.process_time()
        target.run(data)
        if (spent := time.process_time() - began) > _SECONDS:
            slow[name] = spent
    assert not slow


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_raises_what_nobody_expects(target: Target) -> None:
    @settings(max_examples=60)
    @given(data=st.data())
    def examples(data: st.DataObject) -> None:
        target.run(data.draw(inputs(target)))

    for seed in target.seeds:
        target.run(seed)
    examples()


@pytest.mark.parametrize(
    "entry",
    ['{"auth": "\\u0080"}', '{"username": "\\ud800", "password": "p"}', '{"auth": "7aCA"}'],
    ids=["not-ascii", "half-a-surrogate", "half-a-surrogate-in-base64"],
)
def test_a_docker_config_with_what_is_no_text_is_refused_by_name(entry: str) -> None:
    with pytest.raises(RegistryError, match="entry"):
        parse_docker_config(('{"auths": {"ghcr.io": ' + entry + "}}").encode())


def test_a_host_that_sends_half_a_surrogate_pair_has_no_such_text() -> None:
    event = parse_event(
        b'{"type": "host_heartbeat", "source": "N", "data": {"providers": [], "friendly_name": "\\ud800",'
        b' "labels": {"a": "\\udfff", "b": "c"}}}'
    )
    assert isinstance(event, Inventory)
    assert (event.seen.friendly_name, event.seen.labels) == (None, {"b": "c"})
