"""One run of a function at a time, in a thread of its own; callers that come meanwhile share it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class Run(Generic[Result]):
    """One run: `result` or `error` is set before `ended` is."""

    started_at: float
    ended: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: Exception | None = None


class SingleFlight(Generic[Result]):
    """Runs `function` in a daemon thread, at most once at a time.

    A run that is not over after `max_seconds` has ended with TimeoutError for its callers, at the next call;
    what its thread still returns is dropped. `on_end` sees each run once, before its callers do.
    """

    def __init__(
        self,
        function: Callable[[], Result],
        *,
        name: str,
        on_end: Callable[[Run[Result]], None] = lambda _: None,
        max_seconds: float = inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._function, self._name, self._on_end = function, name, on_end
        self._max_seconds, self._clock = max_seconds, clock
        self._lock = threading.Lock()
        self._run: Run[Result] | None = None

    def join(self) -> Run[Result] | None:
        """Return the run in flight, or None."""
        return self.join_or_start(permitted=lambda: False)

    def join_or_start(self, *, permitted: Callable[[], bool] = lambda: True) -> Run[Result] | None:
        """Return the run in flight; without one, start it if `permitted` returns True, else return None.

        Only the caller that would start is asked for the permission, under the lock. Raises RuntimeError if
        the process can start no thread.
        """
        with self._lock:
            run, now = self._run, self._clock()
            if run is not None and now - run.started_at > self._max_seconds:
                self._end(run, error=TimeoutError())
            if self._run is None and permitted():
                run = Run(started_at=now)
                threading.Thread(target=self._execute, args=[run], name=self._name, daemon=True).start()
                self._run = run
            return self._run

    def _execute(self, run: Run[Result]) -> None:
        result = error = None
        try:
            result = self._function()
        except Exception as caught:  # noqa: BLE001 - the callers of the run decide what it means
            error = caught
        with self._lock:
            if self._run is run:
                self._end(run, result=result, error=error)

    def _end(self, run: Run[Result], *, result: Result | None = None, error: Exception | None = None) -> None:
        self._run, run.result, run.error = None, result, error
        self._on_end(run)
        run.ended.set()
