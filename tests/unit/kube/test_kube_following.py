"""The steps of a reflector's state, by hand: what is shown to the server next, and whether it is live meanwhile."""

from __future__ import annotations

import pytest

from wasmcloud_operator.kube.errors import (
    BadRequest,
    Expired,
    Forbidden,
    GarbledAnswer,
    Invalid,
    NotFound,
    ResourceVersionTooLarge,
    ServerError,
    Throttled,
    Unreachable,
)
from wasmcloud_operator.kube.following import (
    Asked,
    Broke,
    Came,
    Empty,
    Ended,
    Failed,
    FellSilent,
    Impossible,
    Listed,
    Listing,
    Opened,
    Opening,
    Position,
    State,
    Watching,
    step,
)


def after(*happened, start: State | None = None) -> State:
    state = start or Empty()
    for what in happened:
        state = step(state, what)
    return state


WATCHED = (Asked(), Listed("5"), Opened())


def test_from_nothing_to_a_watch():
    assert after(Asked()) == Listing()
    assert after(Asked(), Listed("5")) == Opening(Position("5"), problem="not listed yet")
    assert after(*WATCHED) == Watching(Position("5"))
    assert after(*WATCHED, Came("7")) == Watching(Position("7"))
    assert after(*WATCHED, Came("")) == Watching(Position("5"))


@pytest.mark.parametrize("kind", [Expired, ResourceVersionTooLarge, NotFound, BadRequest, Invalid])
def test_a_version_that_was_rejected_is_not_shown_again(kind):
    broken = after(*WATCHED, Broke(kind(400, "Reason", "words")))
    gone = kind is NotFound
    assert broken == Failed(None, "400 Reason: words", gone=gone)
    assert step(broken, Asked()) == Listing("400 Reason: words", gone)


def test_a_stream_that_cannot_be_read_is_listed():
    assert isinstance(after(*WATCHED, Broke(GarbledAnswer("not an event")), Asked()), Listing)


@pytest.mark.parametrize("error", [Unreachable("away"), ServerError(500, "", ""), Throttled(429, "", "")])
def test_any_other_failure_is_gone_on_from_in_doubt(error):
    doubted = Position("5", doubted=True)
    assert after(*WATCHED, Broke(error), Asked()) == Opening(doubted, problem=str(error))
    assert after(*WATCHED, Broke(error), Asked(), Opened()) == Watching(doubted)
    assert after(*WATCHED, Broke(error), Asked(), Opened(), Came("6")) == Watching(Position("6"))


def test_a_version_that_no_watch_gets_past_is_not_shown_again():
    error = Broke(ServerError(500, "InternalError", "odd"))
    again = (error, Asked(), Opened(), error)
    assert after(*WATCHED, *again, Asked()) == Listing("500 InternalError: odd")
    assert isinstance(after(*WATCHED, error, Asked(), Opened(), Came("6"), error, Asked()), Opening)
    assert isinstance(after(*WATCHED, error, Asked(), error, Asked()), Opening), "refused before it began"


def test_a_missing_permission_is_distinguished_from_other_failures():
    assert after(*WATCHED, Broke(Forbidden(403, "Forbidden", "no"))).refused
    assert not after(*WATCHED, Broke(Unreachable("away"))).refused


def test_a_watch_that_only_ended_or_was_silent_stays_live():
    for happened in (Ended(), FellSilent()):
        opening = after(*WATCHED, happened)
        assert opening.live
        assert step(opening, Asked()) == opening
        assert step(opening, Opened()).live
    assert not after(*WATCHED, Broke(Unreachable("away"))).live


@pytest.mark.parametrize("doubt", [(Ended(early=True), Opened()), (Broke(Unreachable("away")), Asked(), Opened())])
def test_two_silences_in_doubt_end_in_a_list(doubt):
    once = after(*WATCHED, *doubt, FellSilent(), Opened())
    assert isinstance(once, Watching)
    assert step(once, FellSilent()) == Empty("nothing came since the connection broke")
    assert isinstance(
        after(Came("6"), FellSilent(), Opened(), FellSilent(), Opened(), FellSilent(), start=once), Opening
    )


def test_silences_without_doubt_never_end_in_a_list():
    state = after(*WATCHED, Ended(), Opened())
    for _ in range(100):
        state = after(FellSilent(), Opened(), start=state)
    assert state == Watching(Position("5", silences=100))


def test_errors_without_words_have_some():
    assert after(Asked(), Broke(TimeoutError())).problem == "no answer in time"
    assert after(Asked(), Broke(Unreachable())).problem == "Unreachable"


@pytest.mark.parametrize(
    ("state", "happened"),
    [
        (Empty(), Listed("1")),
        (Empty(), Came("1")),
        (Listing(), Opened()),
        (Listing(), FellSilent()),
        (Opening(Position("1")), Came("2")),
        (Watching(Position("1")), Listed("2")),
        (Watching(Position("1")), Asked()),
        (Failed(None, ""), Opened()),
    ],
)
def test_steps_that_no_reflector_makes_are_refused(state, happened):
    with pytest.raises(Impossible) as refused:
        step(state, happened)
    assert str(refused.value) == f"{happened} while {state}"
