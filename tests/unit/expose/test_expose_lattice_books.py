"""What is known of a lattice's applications, and how much made-up names take of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.expose import lattice_books
from wasmcloud_operator.expose.controller import _Wiring
from wasmcloud_operator.expose.lattice_books import LatticeBook
from wasmcloud_operator.lattice.ledger import Ledger
from wasmcloud_operator.lattice.wadm_events import ManifestPublished, ManifestUnpublished
from wasmcloud_operator.lattice.wadm_types import LISTED_LIMIT, ModelSummary


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger("default", clock=VirtualClock())
    made.take_list([ModelSummary(name="shop", version="1", deployed_version="1")], "connection")
    return made


@pytest.fixture
def book(ledger: Ledger) -> LatticeBook:
    lattice: Any = SimpleNamespace(ledger=ledger)
    return LatticeBook(lattice=lattice)


def test_names_that_wadm_does_not_list_take_a_bounded_place(book: LatticeBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice_books, "_ABSENT_LIMIT", 100)
    book.put("shop", None)
    for number in range(1000):
        book.put(f"made-up-{number}", None)
    assert len(book.absent) <= 100
    assert book.complete
    assert book.knows("made-up-0")


def test_pushes_of_made_up_applications_have_nothing_read(book: LatticeBook, ledger: Ledger) -> None:
    read: list[str] = []
    wiring: Any = SimpleNamespace(
        pools=SimpleNamespace(has=lambda _: True),
        reader=SimpleNamespace(published=lambda *_: None, unpublished=lambda *_: None),
        _read=lambda _, names: read.extend(names),
        _may_have=lambda _, name: book.may_have(name),
    )
    pushes = [ManifestUnpublished(f"gone-{number}") for number in range(1000)]
    pushes += [ManifestPublished(f"new-{number}", {}) for number in range(LISTED_LIMIT + 1000)]
    pushes += [ManifestUnpublished("shop")]
    for push in pushes:
        ledger.take_event(push)
        _Wiring._on_news(wiring, book.lattice, push)
    assert len(read) == LISTED_LIMIT
    assert read[-1] == "shop"
