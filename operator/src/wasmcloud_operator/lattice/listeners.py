"""Who wants to be called at each change of something."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Generic, TypeVarTuple

Args = TypeVarTuple("Args")


class Listeners(Generic[*Args]):
    """Called in the order they came. Where one raises, `log` is called within the handler, and then the next one."""

    def __init__(self, log: Callable[[*Args], None]) -> None:
        self._log = log
        self._held: list[Callable[[*Args], None]] = []

    def add(self, listener: Callable[[*Args], None]) -> Callable[[], None]:
        """Call `listener` from now on. Returns the function that ends it, and does nothing once it has ended."""
        self._held.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._held.remove(listener)

        return end

    def notify(self, *args: *Args) -> None:
        """Call all of them."""
        for listener in tuple(self._held):
            try:
                listener(*args)
            except Exception:  # noqa: BLE001 - logged with its trace
                self._log(*args)
