"""The codec is fed whatever JSON can hold; `make chaos` does so at length."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.kube.fuzz import CODECS, HUGE, check, objects


@settings(max_examples=200)
@given(st.sampled_from(CODECS), objects())
def test_any_object_costs_itself_at_most(codec, text: bytes):
    check(codec, text)


@settings(max_examples=3)
@given(st.sampled_from(CODECS), objects(HUGE))
def test_an_object_of_megabytes_costs_itself_at_most(codec, text: bytes):
    check(codec, text)
