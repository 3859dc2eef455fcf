"""JSON with parts that users write: what Python cannot parse becomes null, and the rest is parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.payloads import DEPTH_MAX, read_payload

LONG = b"1" * 4301
DEEP = b"[" * 20_000 + b"]" * 20_000


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": %b, "b": 1}' % LONG, {"a": None, "b": 1}),
        (b"[-%b, 2]" % LONG, [None, 2]),
        (b'{"a": [%b], "b": %b}' % (LONG, b"7" * 4300), {"a": [None], "b": int("7" * 4300)}),
        (b"[%b.5, 1e9]" % LONG, [float("inf"), 1e9]),
    ],
)
def test_number_that_is_too_long_is_null(body: bytes, value: object) -> None:
    assert read_payload(body) == value


@pytest.mark.parametrize(
    "piece", [DEEP, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b'[{"[": ' * 9000 + b"0" + b"}]" * 9000]
)
def test_value_nested_too_deep_is_null_and_the_rest_stays(piece: bytes) -> None:
    body = b'{"before": ["{[\\"]}"], "deep": %b, "after": {"\\\\": [[]]}}' % piece
    read = read_payload(body)
    assert isinstance(read, dict)
    assert (read["before"], read["after"]) == (['{["]}'], {"\\": [[]]})
    text = json.dumps(read)
    assert text.count("null") == 1
    assert max(text.count("["), text.count("{")) <= DEPTH_MAX + 5


def test_long_number_and_deep_value_are_both_null() -> None:
    read = read_payload(b"[%b, %b, 1]" % (LONG, DEEP))
    assert isinstance(read, list)
    assert (read[0], read[2]) == (None, 1)


def test_depth_that_python_parses_is_left_as_it_is() -> None:
    body = b"[" * 300 + b"]" * 300
    assert read_payload(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff", b"[1] 2", b"[" * 60_000, b'{"a":' * 40_000, b"]" * 60_000, DEEP + b"]", DEEP[:-1],
        b"[%b" % LONG, b'["' + b"[" * 60_000, b"[%b, \\]" % DEEP, b'["%b' % (b'\\"' * 40_000),
        b"[" * 50_000 + b'"' + b"]" * 50_000,
    ],
)  # fmt: skip
def test_anything_but_json_is_an_error(body: bytes) -> None:
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        read_payload(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_second_parser_returns_what_the_first_returns(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        body = f"[{'9' * 4301}, {text}]".encode(errors="surrogatepass")
        assert read_payload(body) == [None, value]
