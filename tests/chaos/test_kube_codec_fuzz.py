"""The codec is fed whatever JSON can hold, at length and each time with other examples."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kubefuzz import CODECS, HUGE, check, objects


@settings(max_examples=10_000, derandomize=False)
@given(st.sampled_from(CODECS), objects())
def test_any_of_ten_thousand_objects_costs_itself_at_most(codec, text: bytes):
    check(codec, text)


@settings(max_examples=20, derandomize=False)
@given(st.sampled_from(CODECS), objects(HUGE))
def test_any_object_of_megabytes_costs_itself_at_most(codec, text: bytes):
    check(codec, text)
