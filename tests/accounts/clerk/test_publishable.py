"""Publishable keys."""

from __future__ import annotations

import base64

import pytest

from accounts.clerk.publishable import frontend_api


def key(text: str, *, prefix: str = "pk_test_") -> str:
    return prefix + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("prefix", ["pk_test_", "pk_live_"])
def test_key_has_the_address_of_the_frontend_api(prefix: str) -> None:
    assert frontend_api(key("clerk.example.com$", prefix=prefix)) == "https://clerk.example.com"


def test_padding_may_be_missing() -> None:
    assert frontend_api(key("clerk.example.com.$").rstrip("=")) == ""
    assert frontend_api(key("a.example.com$").rstrip("=")) == "https://a.example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pk_test_",
        "pk_test_!!!!",
        "sk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
        key("clerk.example.com$", prefix="pk_prod_"),
        key("clerk.example.com"),
        key("$"),
        key("localhost$"),
        key("evil.example/path$"),
        key("user@evil.example$"),
        key("Clerk.Example.com$"),
        key("clerk..example.com$"),
        key("clerk.example.com$$"),
        key("clérk.example.com$"),
        key("clerk.example.com$\n"),
        f"'{key('clerk.example.com$')}'",
        key("a" * 250 + ".example.com$"),
    ],
)
def test_malformed_key_has_no_address(text: str) -> None:
    assert frontend_api(text) == ""
