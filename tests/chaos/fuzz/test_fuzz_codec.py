"""The codec is fed whatever JSON can hold, at length and each time with other examples."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.hostile.parsers import MANY
from support.kube.fuzz import CODECS, HUGE, check, objects


@settings(MANY)
@given(st.sampled_from(CODECS), objects())
def test_any_object_costs_itself_at_most(codec, text: bytes):
    check(codec, text)


@settings(MANY, max_examples=20)
@given(st.sampled_from(CODECS), objects(HUGE))
def test_any_object_of_megabytes_costs_itself_at_most(codec, text: bytes):
    check(codec, text)
