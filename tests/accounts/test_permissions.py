"""The permission classes for what a session token grants, with tokens of the emulator over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.db import connection
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from accounts.clerk.reverification import parse_reverification
from accounts.permissions import (
    HasFeature,
    HasOrganizationPermission,
    HasOrganizationRole,
    HasPlan,
    ReverificationRequired,
)
from devclerk.fixtures import LocalClerk
from tests.factories import UserFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("clerk_settings"),
    pytest.mark.urls("tests.accounts.permission_urls"),
]
Ask = Callable[..., Any]

FULL: dict[str, Any] = {
    "organization": {"slug": "acme", "role": "admin", "permissions": ["reports:read"]},
    "features": ["u:beta"],
    "plans": ["o:pro"],
    "factor_ages": (3, -1),
}
STALE: dict[str, Any] = FULL | {"factor_ages": (300, -1)}
REFUSALS = [
    ("organization", {}, "organization_required"),
    ("role", {}, "organization_role_required"),
    ("role", {"organization": {"slug": "acme", "role": "member"}}, "organization_role_required"),
    ("permission", {}, "organization_permission_required"),
    (
        "permission",
        {"organization": {"slug": "acme", "role": "admin", "permissions": ["reports:write", "files:read"]}},
        "organization_permission_required",
    ),
    ("feature", {"features": ["u:alpha"]}, "feature_required"),
    ("plan", {"plans": ["u:pro"]}, "plan_required"),
    ("recent", STALE, "reverification_required"),
    ("recent", {"claims": {"fva": None}}, "reverification_required"),
    ("recent-own", STALE, "reverification_required"),
]


@pytest.fixture
def ask(clerk: LocalClerk) -> Ask:
    """Send a request of `user_ada` with a token of these options."""

    def send(path: str, **options: Any) -> Any:
        token = clerk.mint("user_ada", **options)
        return Client(headers={"Authorization": f"Bearer {token}"}).get(path)

    return send


@pytest.fixture
def ask_server(
    clerk: LocalClerk, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., requests.Response]:
    """Send a request of `ada` to a running server."""
    # Persistent connections, as in production, would prevent the removal of the test database.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)

    def send(path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {clerk.mint('ada', **options)}"}
        return requests.get(live_server.url + path, headers=headers, timeout=10)

    return send


def code_of(response: Any) -> str:
    [error] = response.json()["errors"]
    return str(error["code"])


@pytest.mark.parametrize("version", [1, 2])
def test_permission_over_http(ask_server: Callable[..., requests.Response], version: int) -> None:
    acme = {"slug": "acme", "role": "member", "permissions": ["files:read", "reports:read"]}

    granted = ask_server("/api/guarded/permission", organization=acme, version=version)
    refused = ask_server("/api/guarded/permission", organization="acme", version=version)

    assert (granted.status_code, granted.json()) == (200, {"passed": "permission"})
    assert (refused.status_code, code_of(refused)) == (403, "organization_permission_required")
    assert "clerk_error" not in refused.json()
    assert "WWW-Authenticate" not in refused.headers


@pytest.mark.parametrize(
    "name", ["organization", "role", "permission", "feature", "plan", "recent", "recent-own", "and", "or"]
)
def test_session_with_every_grant_passes(ask: Ask, name: str) -> None:
    for folder in ("guarded", "object"):
        assert ask(f"/api/{folder}/{name}", **FULL).status_code == 200


@pytest.mark.parametrize("folder", ["guarded", "object"])
@pytest.mark.parametrize(("name", "options", "code"), REFUSALS)
def test_refusal_has_its_own_code(ask: Ask, folder: str, name: str, options: Any, code: str) -> None:
    response = ask(f"/api/{folder}/{name}", **options)

    assert (response.status_code, code_of(response)) == (403, code)


def test_flat_claims_in_a_token_of_version_2_grant_nothing(ask: Ask) -> None:
    flat = {"org_id": "org_1", "org_role": "org:admin", "org_permissions": ["org:reports:read"]}

    for name in ("organization", "role", "permission"):
        assert ask(f"/api/guarded/{name}", claims=flat).status_code == 403


# Reverification

STRICT = {"type": "forbidden", "reason": "reverification-error", "metadata": {"reverification": "strict"}}
OWN = STRICT | {"metadata": {"reverification": {"level": "first_factor", "afterMinutes": 30}}}
HINTS = pytest.mark.parametrize(("name", "hint"), [("recent", STRICT), ("recent-own", OWN)])


@HINTS
def test_hint_is_in_the_envelope(ask: Ask, name: str, hint: Any) -> None:
    body = ask(f"/api/guarded/{name}", **STALE).json()

    assert body["clerk_error"] == hint
    assert body["type"] == "client_error"
    assert [(error["code"], error["attr"]) for error in body["errors"]] == [("reverification_required", None)]


@HINTS
def test_hint_is_in_the_body_of_rest_frameworks_own_handler(ask: Ask, name: str, hint: Any) -> None:
    response = ask(f"/api/plain/{name}", **STALE)

    assert response.status_code == 403
    assert response.json() == {"detail": ReverificationRequired.default_detail, "clerk_error": hint}


@HINTS
def test_handler_that_expects_a_code_at_each_value_answers_403(ask: Ask, name: str, hint: Any) -> None:
    response = ask(f"/api/foreign/{name}", **STALE)

    assert response.status_code == 403
    assert {error["code"] for error in response.json()["errors"]} == {"reverification_required"}


def test_exception_has_its_code() -> None:
    levels: list[str | tuple[str, int]] = ["strict", ("second_factor", 5)]
    for level in levels:
        refusal = ReverificationRequired(parse_reverification(level).hint)
        assert refusal.get_codes() == "reverification_required"
        assert refusal.status_code == 403


# Composition


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        *(("and", FULL, 200), ("and", STALE, 403), ("and", {"factor_ages": (3, -1)}, 403)),
        *(("or", STALE, 200), ("or", {"factor_ages": (3, -1)}, 200), ("or", {"factor_ages": (300, -1)}, 403)),
        *(("or-other-way", STALE, 200), ("or-other-way", {"factor_ages": (300, -1)}, 403)),
        *(("not", {}, 200), ("not", FULL, 403), ("not-recent", STALE, 200), ("not-recent", FULL, 403)),
    ],
)
def test_composition(ask: Ask, name: str, options: Any, status: int) -> None:
    for folder in ("guarded", "object"):
        response = ask(f"/api/{folder}/{name}", **options)
        assert response.status_code == status
        if status == 403:
            assert code_of(response) == "permission_denied"
            assert "clerk_error" not in response.json()


# Requests without a Clerk session


@pytest.mark.parametrize(
    "name",
    ["organization", "role", "permission", "feature", "plan", "recent", "recent-own", "and", "or", "not"],
)
def test_request_without_a_token_is_401(name: str) -> None:
    for folder in ("guarded", "plain"):
        assert Client().get(f"/api/{folder}/{name}").status_code == 401


@pytest.mark.parametrize("name", ["organization", "role", "permission", "feature", "plan", "recent"])
def test_cookie_of_the_admin_grants_nothing(name: str) -> None:
    client = Client()
    client.force_login(UserFactory.create(clerk_id=None, is_staff=True, is_superuser=True))

    response = client.get(f"/api/cookie/{name}")

    assert response.status_code == 403
    assert code_of(response).endswith("_required")
    assert "clerk_error" not in response.json()


# Names


@pytest.mark.parametrize("name", ["", "org:", "a b", "a:b", "a,b"])
def test_name_that_no_role_has_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="can never match"):
        HasOrganizationRole(name)


@pytest.mark.parametrize("name", ["", "read", "org:read", "org:a:b:c", "org:a:", "org:a:b,c", "a: b"])
def test_name_that_no_permission_has_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="can never match"):
        HasOrganizationPermission(name)


@pytest.mark.parametrize("build", [HasFeature, HasPlan])
@pytest.mark.parametrize("name", ["", "o:", "x:a", "ou:a", "o:a:b", "a,b", "a b"])
def test_name_that_no_feature_or_plan_has_is_an_error(build: Callable[[str], Any], name: str) -> None:
    with pytest.raises(ValueError, match="can never match"):
        build(name)


@pytest.mark.parametrize(("wanted", "passes"), [("beta", True), ("u:beta", True), ("o:beta", False)])
def test_scope_of_a_feature(clerk: LocalClerk, wanted: str, passes: bool) -> None:  # noqa: FBT001 - a parameter
    from accounts.conf import get_verifier

    session = get_verifier().verify(clerk.mint("ada", features=["u:beta"]))

    assert HasFeature(wanted)().grants(session) is passes


@pytest.mark.parametrize("name", ["reports:read", "org:reports:read", "org:org:reports:read"])
def test_prefix_of_a_permission_may_be_left_out(clerk: LocalClerk, name: str) -> None:
    from accounts.conf import get_verifier

    acme = {"slug": "acme", "permissions": ["reports:read"]}
    session = get_verifier().verify(clerk.mint("ada", organization=acme))

    assert HasOrganizationPermission(name)().grants(session)
