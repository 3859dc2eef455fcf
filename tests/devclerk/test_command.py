"""`manage.py devclerk`, speaking to a running stand-in."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from tests.devclerk.receiver import Receiver

Run = Callable[..., str]


@pytest.fixture
def run(clerk: LocalClerk, settings: Settings) -> Run:
    """Give a command line: what it printed."""
    settings.DEBUG = True
    port = clerk.issuer.rpartition(":")[2]

    def run(*words: str) -> str:
        printed = io.StringIO()
        call_command("devclerk", *words, "--clerk-port", port, stdout=printed)
        return printed.getvalue()

    return run


@pytest.fixture
def receiver(clerk: LocalClerk, httpserver: HTTPServer) -> Receiver:
    receiver = Receiver(httpserver)
    clerk.send_webhooks_to(receiver.url)
    return receiver


def claims_of(token: str) -> dict[str, Any]:
    """Give the claims."""
    return dict(jwt.decode(token.strip(), options={"verify_signature": False}))


def test_token_prints_a_good_token_and_nothing_else(run: Run, clerk: LocalClerk) -> None:
    printed = run("token", "ada")
    assert printed == printed.strip() + "\n"
    assert jwt.decode(printed.strip(), clerk.pem, algorithms=["RS256"])["sub"] == clerk.person("ada").id


@pytest.mark.parametrize("name", ["ada", "ada@example.test", "id"])
def test_a_person_is_named_by_handle_email_or_id(run: Run, clerk: LocalClerk, name: str) -> None:
    ada = clerk.person("ada").id
    assert claims_of(run("token", name.replace("id", ada)).strip())["sub"] == ada


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Augusta", "Augusta"),
        ("null", None),
        ("true", True),
        ("7", 7),
        ('"7"', "7"),
        ("[1,2]", [1, 2]),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_a_claim_is_json_or_else_a_text(run: Run, text: str, value: object) -> None:
    assert claims_of(run("token", "ada", "--claim", f"first_name={text}"))["first_name"] == value


def test_a_token_lives_as_long_as_asked(run: Run) -> None:
    claims = claims_of(run("token", "ada", "--expires", "900", "--age", "100"))
    assert claims["exp"] - claims["iat"] == pytest.approx(1000, abs=1)


@pytest.mark.parametrize(("given", "azp"), [("https://a.test", "https://a.test"), ("", None)])
def test_the_azp_can_be_another_or_none(run: Run, given: str, azp: str | None) -> None:
    assert claims_of(run("token", "ada", "--azp", given)).get("azp") == azp


def test_the_azp_is_the_stand_ins_own_origin(run: Run, clerk: LocalClerk) -> None:
    assert claims_of(run("token", "ada"))["azp"] == clerk.issuer


def test_a_faulty_token_has_its_fault(run: Run) -> None:
    assert claims_of(run("token", "ada", "--fault", "expired"))["exp"] < time.time() - 60


def test_a_token_can_be_an_impersonators(run: Run) -> None:
    assert claims_of(run("token", "ada", "--actor", "user_2boss"))["act"]["sub"] == "user_2boss"


def test_an_update_shows_in_the_next_token(run: Run) -> None:
    run("update", "ada", "--first-name", "Augusta", "--email", "augusta@example.test", "--unverified")
    claims = claims_of(run("token", "ada"))
    assert (claims["first_name"], claims["email"]) == ("Augusta", "augusta@example.test")
    assert claims["email_verified"] is False
    assert claims["last_name"] == "Lovelace"


def test_an_empty_field_is_none(run: Run, clerk: LocalClerk) -> None:
    run("update", "ada", "--email", "", "--last-name", "")
    assert (clerk.person("ada").email, clerk.person("ada").last_name) == (None, None)


def test_people_come_go_and_are_banned(run: Run, clerk: LocalClerk) -> None:
    run("create", "bob", "--last-name", "Berg")
    bob = clerk.person("bob")
    assert (bob.first_name, bob.last_name, bob.email) == ("Bob", "Berg", "bob@example.test")
    run("ban", "bob")
    assert clerk.person("bob").banned
    run("unban", "bob")
    assert not clerk.person("bob").banned
    run("delete", "bob")
    assert [change.type for change in clerk.standin.changes] == [
        *("user.created", "user.updated", "user.updated", "user.deleted")
    ]
    with pytest.raises(CommandError, match="Nobody is called 'bob'"):
        run("token", "bob")


def test_a_change_says_how_its_webhook_fared(run: Run, receiver: Receiver) -> None:
    printed = run("update", "ada", "--first-name", "Augusta")
    assert f"webhook {receiver.wait(1)[0].svix_id}: 200 noted" in printed


def test_faults_of_the_webhook_are_handed_on(run: Run, receiver: Receiver) -> None:
    printed = run("send", "user.updated", "ada", "--duplicate", "5")
    assert printed.count(": 200 noted") == 5
    assert len({received.svix_id for received in receiver.wait(5)}) == 1


@pytest.mark.parametrize("kind", ["user.created", "user.updated", "user.deleted"])
def test_send_changes_nothing(run: Run, clerk: LocalClerk, receiver: Receiver, kind: str) -> None:
    before = clerk.person("ada")
    run("send", kind, "ada")
    assert receiver.wait(1)[0].event["type"] == kind
    assert clerk.person("ada") == before


def test_a_webhook_that_is_dropped_is_said_to_be(run: Run, receiver: Receiver) -> None:
    assert "No webhook is sent." in run("update", "ada", "--drop")
    assert receiver.got == []


@pytest.mark.parametrize("fault", [["--delay", "60"], ["--reorder"]])
def test_a_late_webhook_is_not_waited_for(run: Run, receiver: Receiver, fault: list[str]) -> None:
    assert "late as ordered" in run("update", "ada", *fault)
    assert receiver.got == []


def test_rotate_signs_with_another_key(run: Run, clerk: LocalClerk) -> None:
    before = clerk.kid
    assert clerk.kid not in run("rotate")
    assert clerk.kid != before


def test_keys_and_api_get_into_trouble_and_out_again(run: Run, clerk: LocalClerk) -> None:
    run("keys", "down")
    assert clerk.standin.keys_state == "down"
    run("keys", "up")
    assert clerk.standin.keys_state == "up"
    run("api", "429", "--times", "2", "--retry-after", "1")
    assert [trouble.status for trouble in clerk.standin.users_api._troubles] == [429, 429]


def test_people_are_listed(run: Run, clerk: LocalClerk) -> None:
    clerk.make_up(200)
    printed = run("people")
    assert "ada@example.test" in printed
    assert "109 more" in printed


@pytest.mark.parametrize(
    "words", [["token"], ["update"], ["delete"], ["ban"], ["unban"], ["send", "user.updated"]]
)
def test_an_unknown_name_is_one_clear_sentence(run: Run, words: list[str]) -> None:
    with pytest.raises(CommandError, match=r"^Nobody is called 'nobody' here: give a handle") as caught:
        run(*words, "nobody")
    assert caught.value.returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        ["token", "ada", "--claim", "x"],
        ["token", "ada", "--fault", "typo"],
        ["token", "ada", "--expires", "x"],
        ["token", "ada", "--expires", "nan"],
        ["send", "user.danced", "ada"],
        ["update", "ada", "--duplicate", "0"],
        ["keys", "sideways"],
        ["dance"],
        [],
    ],
)
def test_words_that_make_no_sense_are_refused(run: Run, words: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*words)


def test_without_a_stand_in_the_way_to_start_one_is_said(settings: Settings) -> None:
    settings.DEBUG = True
    with pytest.raises(CommandError, match="start it with `make run`"):
        call_command("devclerk", "token", "ada", "--clerk-port", "9")


def test_something_else_on_the_port_is_no_stand_in(settings: Settings, httpserver: HTTPServer) -> None:
    settings.DEBUG = True
    httpserver.expect_request("/_dev/people").respond_with_data("<html>")
    with pytest.raises(CommandError, match="No stand-in answers"):
        call_command("devclerk", "people", "--clerk-port", str(httpserver.port))


def test_the_port_comes_from_the_environment(
    clerk: LocalClerk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setenv("CLERK_PORT", clerk.issuer.rpartition(":")[2])
    printed = io.StringIO()
    call_command("devclerk", "people", stdout=printed)
    assert clerk.person("ada").id in printed.getvalue()
