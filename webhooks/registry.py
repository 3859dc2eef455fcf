"""The registry of a project's own handlers of Clerk's events: `@webhooks.on("organization.created")`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkEvent:
    """An event as a handler gets it. `data` is what Clerk sent, without validation; do not change it.

    `outcome` is what this project did with a user event, such as `created` or `stale`; None for other types.
    """

    type: str
    occurred_at: datetime
    instance_id: str | None
    data: Mapping[str, Any]
    outcome: str | None


Handler = Callable[[ClerkEvent], object]
H = TypeVar("H", bound=Handler)


class Registry:
    """The handlers by type of event, in the order of their registration."""

    def __init__(self) -> None:
        self._handlers: defaultdict[str, dict[str, Handler]] = defaultdict(dict)

    def on(self, event_type: str) -> Callable[[H], H]:
        """Return a decorator that registers a function for a type of event.

        Raises TypeError for anything but a synchronous function, and ValueError for a name that is registered
        for this type already: health shows a handler by its name.
        """
        if type(event_type) is not str or not event_type:
            raise TypeError('Name the type of the event: @on("organization.created").')

        def register(handler: H) -> H:
            if not isfunction(handler) or _is_deferred(handler):
                raise TypeError(
                    f"{handler!r} cannot handle {event_type}: register a plain function. The body of an "
                    "async function or of a generator would not run."
                )
            name = get_name(handler)
            if name in self._handlers[event_type]:
                raise ValueError(f"{name} is registered for {event_type} already.")
            self._handlers[event_type][name] = handler
            return handler

        return register

    def get_handlers(self, event_type: str) -> Sequence[Handler]:
        """Return the handlers of a type of event, in the order in which they run."""
        return tuple(self._handlers[event_type].values()) if event_type in self._handlers else ()

    def get_types(self) -> Sequence[str]:
        """Return the types of events that have a handler."""
        return tuple(self._handlers)


def get_name(handler: Handler) -> str:
    """Return the name of a handler in the ledger and in health: its module and its name in it."""
    return f"{handler.__module__}.{handler.__qualname__}"


def _is_deferred(handler: Handler) -> bool:
    return iscoroutinefunction(handler) or isgeneratorfunction(handler) or isasyncgenfunction(handler)


registry = Registry()
on = registry.on
