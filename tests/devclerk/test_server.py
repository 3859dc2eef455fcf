"""The HTTP server: who may call it, its control API and its front page."""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any

import jwt
import pytest
import requests

from devclerk.fixtures import LocalClerk
from devclerk.server import Server
from devclerk.tokens import Keyring


def post(
    clerk: LocalClerk, path: str, *, headers: dict[str, str] | None = None, **body: Any
) -> requests.Response:
    """Call the control API."""
    return requests.post(f"{clerk.issuer}/_dev/{path}", json=body, headers=headers, timeout=10)


def test_it_listens_on_loopback_alone(clerk_server: Server) -> None:
    assert clerk_server._http.server_address[0] == "127.0.0.1"
    hosts = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for host in hosts - {"127.0.0.1"}:
        if str(host).startswith("127."):
            continue
        with pytest.raises(OSError):  # noqa: PT011 - any error of the network
            socket.create_connection((str(host), clerk_server.port), timeout=1).close()


@pytest.mark.parametrize(
    "host",
    ["other.example.test", "127.0.0.1", "127.0.0.1:1", "localhost.other.example.test:{port}", ""],
)
@pytest.mark.parametrize("path", ["/", "/.well-known/jwks.json", "/v1/users", "/_dev/people"])
def test_another_host_is_421(clerk_server: Server, clerk: LocalClerk, host: str, path: str) -> None:
    headers = {"Host": host.format(port=clerk_server.port)}
    response = requests.get(clerk.issuer + path, headers=headers, timeout=10)
    assert response.status_code == 421
    assert "user_" not in response.text


def test_localhost_is_a_valid_host(clerk_server: Server, clerk: LocalClerk) -> None:
    headers = {"Host": f"localhost:{clerk_server.port}"}
    assert requests.get(clerk.jwks_url, headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://other.example.test"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_controls_refuse_other_origins(clerk: LocalClerk, headers: dict[str, str]) -> None:
    assert post(clerk, "people/ada/token", headers=headers).status_code == 403
    assert post(clerk, "people/ada/delete", headers=headers).status_code == 403
    assert requests.get(f"{clerk.issuer}/_dev/people", headers=headers, timeout=10).status_code == 403
    assert clerk.person("ada").first_name == "Ada"


def test_controls_accept_the_own_origin(clerk: LocalClerk) -> None:
    headers = {"Origin": clerk.issuer, "Sec-Fetch-Site": "same-origin"}
    assert post(clerk, "people/ada/token", headers=headers).json()["token"].count(".") == 2


def test_no_answer_allows_another_origin(clerk: LocalClerk) -> None:
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
        ("people/unknown/token", {}, 404),
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
def test_an_invalid_request_is_answered_with_a_sentence(
    clerk: LocalClerk, path: str, body: dict[str, Any], status: int
) -> None:
    response = post(clerk, path, **body)
    assert response.status_code == status
    assert response.json()["detail"].endswith(".")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_an_unusable_body_is_400(clerk: LocalClerk, body: bytes) -> None:
    assert requests.post(f"{clerk.issuer}/_dev/people", data=body, timeout=10).status_code == 400


def test_the_jwks_endpoint_can_be_down(clerk: LocalClerk) -> None:
    clerk.keys_down()
    assert requests.get(clerk.jwks_url, timeout=10).status_code == 503
    clerk.keys_up()
    assert requests.get(clerk.jwks_url, timeout=10).status_code == 200
    assert clerk.key_requests == 2


def test_the_jwks_endpoint_can_be_slow(clerk: LocalClerk) -> None:
    clerk.keys_slow()
    with pytest.raises(requests.Timeout):
        requests.get(clerk.jwks_url, timeout=0.3)


def test_setting_the_keys_up_answers_waiting_requests(clerk: LocalClerk) -> None:
    clerk.keys_slow()
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(clerk.issuer.rpartition(":")[2])), timeout=5) as raw:
        host = clerk.issuer.removeprefix("http://")
        raw.sendall(f"GET /.well-known/jwks.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while not clerk.key_requests and time.monotonic() < started + 5:
            time.sleep(0.01)
        time.sleep(0.05)
        clerk.keys_up()
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - started < 5


def test_the_front_page_lists_users_and_escapes_their_names(clerk: LocalClerk) -> None:
    clerk.new_person(handle="eve", first_name="<script>alert(1)</script>")
    page = requests.get(clerk.issuer + "/", timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "ada@example.test" in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text


def test_tokens_with_different_claims_never_share_a_second(clerk: LocalClerk) -> None:
    times = []
    for claims in ({}, {"first_name": "X"}, {"first_name": "Y"}):
        token = post(clerk, "people/ada/token", claims=claims).json()["token"]
        times.append(read_at(token))
    assert times == sorted(set(times))


def test_changed_claims_are_newer_than_the_last_change(clerk: LocalClerk) -> None:
    changed = clerk.update("ada", first_name="X")
    token = post(clerk, "people/ada/token", claims={"first_name": "Y"}).json()["token"]
    assert read_at(token) * 1000 > changed.updated_at


def test_a_token_with_unchanged_claims_does_not_wait(clerk: LocalClerk) -> None:
    clerk.new_person(handle="eve")
    started = time.monotonic()
    for _ in range(5):
        post(clerk, "people/eve/token")
    assert time.monotonic() - started < 0.5


def test_each_start_generates_its_own_keys() -> None:
    assert Keyring().pem != Keyring().pem


def read_at(token: str) -> int:
    """Return the second in which the claims were read."""
    return int(jwt.get_unverified_header(token)["oiat"])
