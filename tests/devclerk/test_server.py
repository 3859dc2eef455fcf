"""The guards of the HTTP server, its controls and its front page."""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any

import pytest
import requests

from devclerk.directory import Directory
from devclerk.fixtures import LocalClerk
from devclerk.server import Server
from devclerk.tokens import Keyring


def post(
    clerk: LocalClerk, path: str, *, headers: dict[str, str] | None = None, **body: Any
) -> requests.Response:
    """Ask a control for something."""
    return requests.post(f"{clerk.issuer}/_dev/{path}", json=body, headers=headers, timeout=10)


def test_it_listens_on_the_loopback_alone(clerk_server: Server) -> None:
    assert clerk_server._http.server_address[0] == "127.0.0.1"
    hosts = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for host in hosts - {"127.0.0.1"}:
        if str(host).startswith("127."):
            continue
        with pytest.raises(OSError):  # noqa: PT011 - whatever the network says
            socket.create_connection((str(host), clerk_server.port), timeout=1).close()


@pytest.mark.parametrize(
    "host",
    ["stranger.example.test", "127.0.0.1", "127.0.0.1:1", "localhost.stranger.example.test:{port}", ""],
)
@pytest.mark.parametrize("path", ["/", "/.well-known/jwks.json", "/v1/users", "/_dev/people"])
def test_another_host_gets_nothing(clerk_server: Server, clerk: LocalClerk, host: str, path: str) -> None:
    headers = {"Host": host.format(port=clerk_server.port)}
    response = requests.get(clerk.issuer + path, headers=headers, timeout=10)
    assert response.status_code == 421
    assert "user_" not in response.text


def test_localhost_is_one_of_its_names(clerk_server: Server, clerk: LocalClerk) -> None:
    headers = {"Host": f"localhost:{clerk_server.port}"}
    assert requests.get(clerk.jwks_url, headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://stranger.example.test"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_the_controls_are_closed_to_other_origins(clerk: LocalClerk, headers: dict[str, str]) -> None:
    assert post(clerk, "people/ada/token", headers=headers).status_code == 403
    assert post(clerk, "people/ada/delete", headers=headers).status_code == 403
    assert requests.get(f"{clerk.issuer}/_dev/people", headers=headers, timeout=10).status_code == 403
    assert clerk.person("ada").first_name == "Ada"


def test_the_controls_are_open_to_its_own_page(clerk: LocalClerk) -> None:
    headers = {"Origin": clerk.issuer, "Sec-Fetch-Site": "same-origin"}
    assert post(clerk, "people/ada/token", headers=headers).json()["token"].count(".") == 2


def test_no_answer_lets_another_origin_read_it(clerk: LocalClerk) -> None:
    for path in ("/", "/_dev/people", "/.well-known/jwks.json"):
        response = requests.get(clerk.issuer + path, headers={"Origin": clerk.issuer}, timeout=10)
        assert "Access-Control-Allow-Origin" not in response.headers


def test_a_large_body_is_refused(clerk: LocalClerk) -> None:
    connection = http.client.HTTPConnection(clerk.issuer.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/_dev/people")
    connection.putheader("Content-Length", "10000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("people/nobody/token", {}, 404),
        ("people/ada/dance", {}, 404),
        ("dance", {}, 404),
        ("people/ada/token", {"fault": "typo"}, 400),
        ("people/ada/token", {"typo": 1}, 400),
        ("people/ada/update", {"typo": 1}, 400),
        ("people/ada/update", {"faults": {"typo": 1}}, 400),
        ("people/ada/send", {"type": "user.danced"}, 400),
        ("people", {}, 400),
        ("people", {"handle": "ada"}, 400),
        ("keys", {"state": "typo"}, 400),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_in_a_sentence(
    clerk: LocalClerk, path: str, body: dict[str, Any], status: int
) -> None:
    response = post(clerk, path, **body)
    assert response.status_code == status
    assert response.json()["detail"].endswith(".")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_of_no_use_is_400(clerk: LocalClerk, body: bytes) -> None:
    assert requests.post(f"{clerk.issuer}/_dev/people", data=body, timeout=10).status_code == 400


def test_the_address_of_the_keys_can_be_down(clerk: LocalClerk) -> None:
    clerk.keys_down()
    assert requests.get(clerk.jwks_url, timeout=10).status_code == 503
    clerk.keys_up()
    assert requests.get(clerk.jwks_url, timeout=10).status_code == 200
    assert clerk.key_requests == 2


def test_the_address_of_the_keys_can_be_too_slow(clerk: LocalClerk) -> None:
    clerk.keys_slow()
    with pytest.raises(requests.Timeout):
        requests.get(clerk.jwks_url, timeout=0.3)


def test_keys_that_are_up_again_answer_those_who_wait(clerk: LocalClerk) -> None:
    clerk.keys_slow()
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(clerk.issuer.rpartition(":")[2])), timeout=5) as wire:
        host = clerk.issuer.removeprefix("http://")
        wire.sendall(f"GET /.well-known/jwks.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while not clerk.key_requests and time.monotonic() < begun + 5:
            time.sleep(0.01)
        time.sleep(0.05)
        clerk.keys_up()
        assert wire.recv(100).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - begun < 5


def test_the_front_page_lists_people_and_escapes_them(clerk: LocalClerk) -> None:
    clerk.new_person(handle="eve", first_name="<script>alert(1)</script>")
    page = requests.get(clerk.issuer + "/", timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "ada@example.test" in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text


def test_a_token_with_another_story_never_shares_a_second_with_the_last_one(clerk: LocalClerk) -> None:
    read_at = []
    for claims in ({}, {"first_name": "X"}, {"first_name": "Y"}):
        token = post(clerk, "people/ada/token", claims=claims).json()["token"]
        read_at.append(time_of(token))
    assert read_at == sorted(set(read_at))


def test_what_is_claimed_against_a_change_was_read_after_it(clerk: LocalClerk) -> None:
    changed = clerk.update("ada", first_name="X")
    token = post(clerk, "people/ada/token", claims={"first_name": "Y"}).json()["token"]
    assert time_of(token) * 1000 > changed.updated_at


def test_an_ordinary_token_does_not_wait(clerk: LocalClerk) -> None:
    clerk.new_person(handle="eve")
    begun = time.monotonic()
    for _ in range(5):
        post(clerk, "people/eve/token")
    assert time.monotonic() - begun < 0.5


def test_each_start_makes_keys_of_its_own() -> None:
    assert Keyring().pem != Keyring().pem


def test_a_start_begins_with_the_same_people() -> None:
    first, second = (Directory(announce=lambda _: None).people() for _ in range(2))
    assert first == second


def time_of(token: str) -> int:
    """Give the second in which the claims were read."""
    import jwt

    return int(jwt.get_unverified_header(token)["oiat"])
