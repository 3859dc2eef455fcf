"""What can be registered as a handler of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from webhooks import ClerkEvent, on
from webhooks.registry import Registry, get_name

TYPE = "organization.created"


def first(event: ClerkEvent) -> None:
    pass


def second(event: ClerkEvent) -> None:
    pass


async def coroutine(event: ClerkEvent) -> None:
    pass


def generator(event: ClerkEvent) -> Iterator[None]:
    yield


async def async_generator(event: ClerkEvent) -> AsyncIterator[None]:
    yield


def test_handlers_are_kept_in_the_order_of_registration() -> None:
    registry = Registry()
    for handler in (second, first):
        assert registry.on(TYPE)(handler) is handler
    registry.on("organization.deleted")(first)
    assert registry.get_handlers(TYPE) == (second, first)
    assert registry.get_types() == (TYPE, "organization.deleted")


def test_type_without_a_handler_has_none_and_is_not_listed() -> None:
    registry = Registry()
    assert registry.get_handlers(TYPE) == ()
    assert registry.get_types() == ()


def test_name_is_that_of_module_and_function() -> None:
    assert get_name(first) == "tests.webhooks.test_registry.first"


def test_same_name_twice_for_a_type_is_refused() -> None:
    registry = Registry()
    registry.on(TYPE)(first)
    with pytest.raises(ValueError, match="registered") as caught:
        registry.on(TYPE)(first)
    name = "tests.webhooks.test_registry.first"
    assert str(caught.value) == f"{name} is registered for organization.created already."
    assert registry.get_handlers(TYPE) == (first,)


@pytest.mark.parametrize(
    "handler", [coroutine, generator, async_generator, partial(first), "first", Registry]
)
def test_anything_but_a_plain_function_is_refused(handler: Any) -> None:
    registry = Registry()
    with pytest.raises(TypeError, match="plain function") as caught:
        registry.on(TYPE)(handler)
    assert str(caught.value) == (
        f"{handler!r} cannot handle organization.created: register a plain function. "
        "The body of an async function or of a generator would not run."
    )
    assert registry.get_handlers(TYPE) == ()


@pytest.mark.parametrize("event_type", ["", None, 7, first])
def test_decorator_without_a_type_is_refused(event_type: Any) -> None:
    with pytest.raises(TypeError, match="Name the type") as caught:
        on(event_type)
    assert str(caught.value) == 'Name the type of the event: @on("organization.created").'


def test_public_decorator_uses_the_registry_of_the_process() -> None:
    from webhooks.registry import registry

    decorate: Callable[..., Any] = on(TYPE)
    decorate(second)
    assert registry.get_handlers(TYPE) == (second,)
