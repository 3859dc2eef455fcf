"""A receiver of signals for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal


@contextmanager
def received(*signals: Signal) -> Iterator[list[dict[str, Any]]]:
    """Collect the arguments of each signal that is sent in the block, in their order."""
    calls: list[dict[str, Any]] = []

    def receive(sender: object, signal: Signal, **arguments: Any) -> None:
        calls.append(arguments)

    for signal in signals:
        signal.connect(receive)
    try:
        yield calls
    finally:
        for signal in signals:
            signal.disconnect(receive)
