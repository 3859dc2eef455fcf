"""What a publishable key says."""

from __future__ import annotations

import base64

import pytest

from accounts.clerk.publishable import frontend_api


def key(text: str, *, prefix: str = "pk_test_") -> str:
    return prefix + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("prefix", ["pk_test_", "pk_live_"])
def test_a_key_names_the_frontend_api(prefix: str) -> None:
    assert frontend_api(key("clerk.example.com$", prefix=prefix)) == "https://clerk.example.com"


def test_the_padding_may_be_missing() -> None:
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
def test_anything_else_names_nothing(text: str) -> None:
    assert frontend_api(text) == ""
