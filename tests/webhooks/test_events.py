from __future__ import annotations

import json

import pytest

from webhooks.events import Event, MalformedEvent, parse_event

RECEIVED_MS = 1_790_000_000_000
MINUTE_MS = 60_000


def parse(body: object) -> Event:
    return parse_event(json.dumps(body).encode(), received_at=RECEIVED_MS)


def parse_time(timestamp: object) -> int:
    return parse({"type": "user.updated", "timestamp": timestamp}).occurred_at


def test_envelope_becomes_an_event() -> None:
    envelope = {
        "object": "event",
        "type": "user.updated",
        "timestamp": RECEIVED_MS - 5,
        "instance_id": "ins_1",
        "data": {"id": "user_1"},
    }
    assert parse(envelope) == Event(
        type="user.updated", occurred_at=RECEIVED_MS - 5, instance_id="ins_1", data={"id": "user_1"}
    )


def test_unknown_keys_are_ignored() -> None:
    plain = {"type": "user.updated", "data": {}}
    assert parse(plain | {"event_attributes": {"http_request": {}}, "new": [1]}) == parse(plain)


@pytest.mark.parametrize(
    ("timestamp", "milliseconds"),
    [
        (1_780_000_000_123, 1_780_000_000_123),
        (1_780_000_000, 1_780_000_000_000),
        (1_780_000_000.25, 1_780_000_000_250),
        (1_780_000_000_123.75, 1_780_000_000_123),
        (1_577_836_800_000, 1_577_836_800_000),
        (1_577_836_800, 1_577_836_800_000),
        (RECEIVED_MS + 5 * MINUTE_MS, RECEIVED_MS + 5 * MINUTE_MS),
    ],
)
def test_time_is_read_as_milliseconds_or_seconds(timestamp: float, milliseconds: int) -> None:
    assert parse_time(timestamp) == milliseconds


@pytest.mark.parametrize(
    "timestamp",
    [
        None, True, "1780000000123", [], {}, 0, -1, 5, 1_577_836_799, 100_000_000_000, 1_577_836_799_999,
        RECEIVED_MS + 5 * MINUTE_MS + 1, 10**30, 10**400, float("nan"), float("inf"), float("-inf"),
    ],
)  # fmt: skip
def test_implausible_time_is_replaced_by_the_receipt(timestamp: object) -> None:
    assert parse_time(timestamp) == RECEIVED_MS


def test_missing_time_is_replaced_by_the_receipt() -> None:
    assert parse({"type": "user.updated"}).occurred_at == RECEIVED_MS


@pytest.mark.parametrize("instance_id", [None, 7, ["ins_1"], True])
def test_instance_id_of_another_type_is_none(instance_id: object) -> None:
    assert parse({"type": "user.updated", "instance_id": instance_id}).instance_id is None


@pytest.mark.parametrize("data", [None, 7, "user_1", []])
def test_data_is_not_changed(data: object) -> None:
    assert parse({"type": "user.updated", "data": data}).data == data


@pytest.mark.parametrize("value", [b"9" * 4301, b"[" * 3000 + b"]" * 3000])
def test_unreadable_metadata_does_not_hide_other_keys(value: bytes) -> None:
    body = b'{"type": "user.updated", "data": {"unsafe_metadata": {"x": %b}, "banned": true}}' % value
    data = parse_event(body, received_at=RECEIVED_MS).data
    assert isinstance(data, dict)
    assert data["banned"] is True


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"null", b"[]", b'"user.updated"', b"7", b"NaN", b"\xff", b"{}", b'{"type": null}',
        b'{"type": ""}', b'{"type": 7}', b'{"type": ["user.updated"]}', b'{"type": "a"} {}', b"\x00",
        b"[" * 100_000, b'{"a":' * 40_000, b'{"type": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_body_without_an_event_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_event(body, received_at=RECEIVED_MS)
