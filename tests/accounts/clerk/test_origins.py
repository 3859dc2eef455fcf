"""Origins: the form in which browsers send them, and which of them are on this machine."""

from __future__ import annotations

import re

import pytest

from accounts.clerk.origins import LOOPBACK_ORIGIN, OriginsAndLoopback, is_origin

GIVEN = ("https://app.example.com",)
LOOPBACK = (
    "http://localhost",
    "http://localhost:5173",
    "https://localhost:3000",
    "http://tenant-1.app.localhost:3000",
    "http://127.0.0.1:8000",
    "http://127.8.8.8",
    "http://[::1]:3000",
)
OTHER_MACHINES = (
    "http://localhost.evil.example",
    "http://localhost.evil.example:3000",
    "http://127.0.0.1.evil.example",
    "http://evil.example/localhost",
    "http://evil.example#localhost",
    "http://user@localhost",
    "http://localhost@evil.example",
    "http://localhost:3000@evil.example",
    "http://evillocalhost",
    "http://localhost\n.evil.example",
    "http://localhost\n",
    "http://128.0.0.1",
    "http://[::2]",
    "http://[::1].evil.example",
    "http://0.0.0.0:3000",
    "http://10.0.0.1",
    "xhttp://localhost",
    "capacitor://localhost",
    "localhost:3000",
    "null",
    "",
)


@pytest.mark.parametrize(
    "text",
    [
        *("https://app.example.com", "http://app.example.com:8080", "https://app.example.com:80"),
        *("https://xn--mnchen-3ya.example", "https://a_b.example", "http://localhost:3000"),
        *("http://10.0.0.1", "http://[::1]:3000", "https://app.example.com:65535", "http://localhost"),
        *("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "capacitor://localhost"),
        *("ionic://localhost", "tauri://localhost", "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc"),
        *("safari-web-extension://E1B5F4D0-7C5B-4B0A-9A0E-3C3F6B1D2A4F", "app+1.x-y://Main:80"),
    ],
)
def test_a_browser_can_send_this_origin(text: str) -> None:
    assert is_origin(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "null", "app.example.com", "//app.example.com", "https://", "https:app.example.com"),
        *(
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://app.example.com?x",
            "https://a#b",
        ),
        *(
            "https://*.example.com",
            "https://*",
            "chrome-extension://*",
            "capacitor://",
            "file://",
            "file:///x",
        ),
        *("https://App.example.com", "HTTPS://app.example.com", "Capacitor://localhost"),
        *("https://münchen.example", "https://a b.example", "https://a.example\n", " https://a.example"),
        *("https://user@a.example", "https://u:p@a.example", "https://a..example", "https://.a.example"),
        *("http://a.example:80", "https://a.example:443", "https://a.example:", "https://a.example:0"),
        *("https://a.example:65536", "https://a.example:08", "https://a.example:x", "https://[::1"),
        *("ws://a.example", "wss://a.example", "ftp://a.example", "capacitor://a/b", "1app://a"),
    ],
)
def test_no_browser_sends_this_as_an_origin(text: str) -> None:
    assert not is_origin(text)


@pytest.mark.parametrize("origin", LOOPBACK)
def test_loopback_origins_are_added(origin: str) -> None:
    assert re.match(LOOPBACK_ORIGIN, origin)
    assert is_origin(origin)
    assert origin in OriginsAndLoopback(GIVEN)
    assert origin in OriginsAndLoopback(())


@pytest.mark.parametrize("origin", OTHER_MACHINES)
def test_origins_of_other_machines_are_not_added(origin: str) -> None:
    assert not re.match(LOOPBACK_ORIGIN, origin)
    assert origin not in OriginsAndLoopback(GIVEN)


@pytest.mark.parametrize("other", [None, 5, b"http://localhost"])
def test_other_types_are_not_contained(other: object) -> None:
    assert other not in OriginsAndLoopback(GIVEN)


def test_the_given_origins_stay_and_are_listed_alone() -> None:
    parties = OriginsAndLoopback(GIVEN)

    assert GIVEN[0] in parties
    assert list(parties) == list(GIVEN)
    assert len(parties) == 1
