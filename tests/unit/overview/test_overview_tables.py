"""What others have written is shown as text, at a terminal too."""

from __future__ import annotations

import pytest

from wasmcloud_operator.commands.overview.coloured import Coloured
from wasmcloud_operator.commands.overview.doctor import Finding, Health
from wasmcloud_operator.commands.overview.drawing import Drawing, Plain
from wasmcloud_operator.commands.overview.tables import Branch, Row, Table
from wasmcloud_operator.commands.overview.why import Cause
from wasmcloud_operator.commands.printable import say

HOSTILE = "a\x1b]0;title\x07\x1b[2Jb\u202ec\x9b31m\nREADY  all is fine\r"


@pytest.mark.parametrize("drawing", [Plain(), Coloured()], ids=["plain", "coloured"])
def test_a_name_or_message_is_no_command_to_a_terminal_and_no_line_of_its_own(
    drawing: Drawing, capsys: pytest.CaptureFixture[str]
):
    drawing.tables([Table(("NAME", "MESSAGE"), (Row((HOSTILE, HOSTILE), True),), 0)], ())
    drawing.tree(Branch(HOSTILE, (Branch(HOSTILE),)))
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.split("\n"))
    assert not any(line.startswith("READY") for line in shown.split("\n"))


def test_a_cause_is_one_printable_line_and_its_command_another():
    cause = Cause(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    assert [line.isprintable() for line in str(cause).split("\n")] == [True, True]
    assert cause.command.isprintable()


@pytest.mark.parametrize("err", [False, True])
def test_each_text_that_is_said_is_a_printable_line(err: bool, capsys: pytest.CaptureFixture[str]):
    say(HOSTILE, str(Finding(next(iter(Health)), HOSTILE)), err=err)
    shown = capsys.readouterr()
    assert [line.isprintable() for line in (shown.err if err else shown.out).splitlines()] == [True, True]
