"""Many examples, other ones each time, for everything that an outsider can send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hostile.parsers import MANY, TARGETS, Target, inputs


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_raises_what_nobody_expects(target: Target) -> None:
    @settings(MANY)
    @given(data=st.data())
    def examples(data: st.DataObject) -> None:
        target.run(data.draw(inputs(target)))

    examples()
