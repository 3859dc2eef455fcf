from __future__ import annotations

import json

import pytest

from webhooks.events import Event, MalformedEvent, parse_event

RECEIVED = 1_790_000_000_000
MINUTE = 60_000


def read(body: object) -> Event:
    return parse_event(json.dumps(body).encode(), received_at=RECEIVED)


def read_time(timestamp: object) -> int:
    return read({"type": "user.updated", "timestamp": timestamp}).occurred_at


def test_an_envelope_becomes_an_event() -> None:
    envelope = {
        "object": "event",
        "type": "user.updated",
        "timestamp": RECEIVED - 5,
        "instance_id": "ins_1",
        "data": {"id": "user_1"},
    }
    assert read(envelope) == Event(
        type="user.updated", occurred_at=RECEIVED - 5, instance_id="ins_1", data={"id": "user_1"}
    )


def test_unknown_keys_are_ignored() -> None:
    plain = {"type": "user.updated", "data": {}}
    assert read(plain | {"event_attributes": {"http_request": {}}, "new": [1]}) == read(plain)


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        (1_780_000_000_123, 1_780_000_000_123),
        (1_780_000_000, 1_780_000_000_000),
        (1_780_000_000.25, 1_780_000_000_250),
        (1_780_000_000_123.75, 1_780_000_000_123),
        (1_577_836_800_000, 1_577_836_800_000),
        (1_577_836_800, 1_577_836_800_000),
        (RECEIVED + 5 * MINUTE, RECEIVED + 5 * MINUTE),
    ],
)
def test_the_time_is_read_in_milliseconds_or_seconds_by_its_size(written: float, milliseconds: int) -> None:
    assert read_time(written) == milliseconds


@pytest.mark.parametrize(
    "written",
    [
        None, True, "1780000000123", [], {}, 0, -1, 5, 1_577_836_799, 100_000_000_000, 1_577_836_799_999,
        RECEIVED + 5 * MINUTE + 1, 10**30, 10**400, float("nan"), float("inf"), float("-inf"),
    ],
)  # fmt: skip
def test_an_absurd_time_gives_way_to_the_time_of_receipt(written: object) -> None:
    assert read_time(written) == RECEIVED


def test_a_missing_time_gives_way_to_the_time_of_receipt() -> None:
    assert read({"type": "user.updated"}).occurred_at == RECEIVED


@pytest.mark.parametrize("instance_id", [None, 7, ["ins_1"], True])
def test_an_instance_that_is_no_text_counts_as_absent(instance_id: object) -> None:
    assert read({"type": "user.updated", "instance_id": instance_id}).instance_id is None


@pytest.mark.parametrize("data", [None, 7, "user_1", []])
def test_the_data_is_passed_on_as_it_came(data: object) -> None:
    assert read({"type": "user.updated", "data": data}).data == data


@pytest.mark.parametrize("piece", [b"9" * 4301, b"[" * 3000 + b"]" * 3000])
def test_what_a_user_wrote_to_be_unreadable_does_not_hide_the_rest(piece: bytes) -> None:
    body = b'{"type": "user.updated", "data": {"unsafe_metadata": {"x": %b}, "banned": true}}' % piece
    data = parse_event(body, received_at=RECEIVED).data
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
def test_a_body_that_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_event(body, received_at=RECEIVED)
