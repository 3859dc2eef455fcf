"""`manage.py devclerk token` with a running emulator."""

from __future__ import annotations

import time

import jwt
import pytest
from django.core.management import CommandError

from devclerk.fixtures import LocalClerk
from tests.devclerk.runs import Run, claims_of


def test_token_prints_a_valid_token_and_nothing_else(run: Run, clerk: LocalClerk) -> None:
    printed = run("token", "ada")
    assert printed == printed.strip() + "\n"
    assert jwt.decode(printed.strip(), clerk.pem, algorithms=["RS256"])["sub"] == clerk.person("ada").id


@pytest.mark.parametrize("name", ["ada", "ada@example.test", "id"])
def test_a_user_is_named_by_handle_email_or_id(run: Run, clerk: LocalClerk, name: str) -> None:
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
def test_a_claim_is_json_or_else_text(run: Run, text: str, value: object) -> None:
    assert claims_of(run("token", "ada", "--claim", f"first_name={text}"))["first_name"] == value


def test_a_token_expires_as_requested(run: Run) -> None:
    claims = claims_of(run("token", "ada", "--expires", "900", "--age", "100"))
    assert claims["exp"] - claims["iat"] == pytest.approx(1000, abs=1)


@pytest.mark.parametrize(("option", "azp"), [("https://a.test", "https://a.test"), ("", None)])
def test_the_azp_can_be_replaced_or_left_out(run: Run, option: str, azp: str | None) -> None:
    assert claims_of(run("token", "ada", "--azp", option)).get("azp") == azp


def test_the_default_azp_is_the_emulators_origin(run: Run, clerk: LocalClerk) -> None:
    assert claims_of(run("token", "ada"))["azp"] == clerk.issuer


def test_a_token_has_the_requested_fault(run: Run) -> None:
    assert claims_of(run("token", "ada", "--fault", "expired"))["exp"] < time.time() - 60


def test_a_token_can_name_an_actor(run: Run) -> None:
    assert claims_of(run("token", "ada", "--actor", "user_2boss"))["act"]["sub"] == "user_2boss"


def test_a_token_has_what_the_options_of_a_session_name(run: Run) -> None:
    options = (
        "--organization acme --role admin --permission reports:read --permission files:write --feature u:beta"
    )
    more = "--plan o:pro --plan u:plus --factor-age 3,-1 --actor-kind agent"
    claims = claims_of(run("token", "ada", *options.split(), *more.split()))

    assert {name: claims["o"][name] for name in ("slg", "rol", "per", "fpm")} == {
        "slg": "acme",
        "rol": "admin",
        "per": "read,write",
        "fpm": "1,2",
    }
    assert claims["fea"] == "u:beta,o:reports,o:files"
    assert (claims["pla"], claims["fva"]) == ("o:pro,u:plus", [3, -1])
    assert (claims["act"]["type"], claims["v"]) == ("agent", 2)


def test_a_token_can_be_of_version_1(run: Run) -> None:
    claims = claims_of(run("token", "ada", "--organization", "acme", "--token-version", "1"))
    assert (claims["org_slug"], claims["org_role"], "v" in claims) == ("acme", "org:member", False)


def test_without_options_a_token_has_no_organization_and_no_actor(run: Run) -> None:
    claims = claims_of(run("token", "ada"))
    assert not {"o", "act"} & set(claims)
    assert (claims["pla"], claims["fea"], claims["fva"]) == ("u:free", "", [0, -1])


def test_a_role_without_an_organization_is_one_sentence(run: Run) -> None:
    with pytest.raises(CommandError, match=r"a role or a permission needs an organization\.$"):
        run("token", "ada", "--role", "admin")
