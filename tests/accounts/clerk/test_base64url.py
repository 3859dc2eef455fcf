"""Base64url: exactly one text for each value."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.base64url import decode_base64url


@given(st.binary())
def test_text_without_padding_is_decoded(data: bytes) -> None:
    assert decode_base64url(base64.urlsafe_b64encode(data).rstrip(b"=").decode()) == data


@pytest.mark.parametrize(
    "text",
    ["YQ==", "YR", "Y", "YW Fh", "YW+h", "YW/h", "YWF\n", "é", "\ud800", "="],
    ids=["padding", "unused bits", "one letter", "blank", "plus", "slash", "newline", "é", "surrogate", "="],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_base64url(text)
