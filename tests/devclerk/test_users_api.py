"""The Backend API over HTTP."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from devclerk.fixtures import LocalClerk
from devclerk.users import seeded_users

SEEDED = len(seeded_users())


def call(clerk: LocalClerk, path: str, *, method: str = "GET", **options: Any) -> requests.Response:
    """Call the Backend API with the secret key."""
    headers = {"Authorization": f"Bearer {clerk.secret_key}"}
    return requests.request(method, clerk.api_url + path, headers=headers, timeout=10, **options)


def ids(response: requests.Response) -> list[str]:
    """Return the ids on a page."""
    assert response.status_code == 200, response.text
    return [user["id"] for user in response.json()]


def code_of(response: requests.Response) -> str:
    """Return the code of an error in Clerk's format."""
    body = response.json()
    assert set(body) == {"errors", "clerk_trace_id"}
    (error,) = body["errors"]
    assert set(error) == {"code", "message", "long_message", "meta"}
    return str(error["code"])


@pytest.mark.parametrize(
    ("limit", "rows"), [("1", 1), ("500", 500), ("501", 10), ("0", 10), ("x", 10), (None, 10)]
)
def test_a_limit_out_of_range_returns_ten_rows(clerk: LocalClerk, limit: str | None, rows: int) -> None:
    clerk.make_up(600)
    assert len(ids(call(clerk, "/v1/users", params={"limit": limit}))) == rows


def test_the_cursor_lists_each_user_once_and_ends_with_a_short_page(clerk: LocalClerk) -> None:
    clerk.make_up(1200)
    listed: list[str] = []
    sizes: list[int] = []
    cursor: dict[str, str] = {}
    while not sizes or sizes[-1] == 500:
        page = ids(call(clerk, "/v1/users", params={"limit": "500", "order_by": "+created_at", **cursor}))
        listed += page
        sizes.append(len(page))
        cursor = {"starting_after": page[-1]}
    assert sizes == [500, 500, 200 + SEEDED]
    assert len(set(listed)) == len(listed) == call(clerk, "/v1/users/count").json()["total_count"]


def test_a_deletion_shifts_the_offset_but_not_the_cursor(clerk: LocalClerk) -> None:
    clerk.make_up(30)
    all_ids = ids(call(clerk, "/v1/users?limit=500&order_by=%2Bcreated_at"))
    clerk.delete(all_ids[0])
    by_cursor = ids(call(clerk, f"/v1/users?order_by=%2Bcreated_at&starting_after={all_ids[9]}"))
    by_offset = ids(call(clerk, "/v1/users?order_by=%2Bcreated_at&offset=10"))
    assert by_cursor[0] == all_ids[10]
    assert by_offset[0] == all_ids[11]


@pytest.mark.parametrize(
    "query",
    [
        "order_by=email_address&starting_after={id}",
        "order_by=-updated_at&starting_after={id}",
        "order_by=created_at&starting_after={id}&offset=1",
        "order_by=created_at&starting_after=user_2deleted",
        "order_by=shoe_size",
        "offset=x",
        "shoe_size=44",
    ],
)
def test_an_unsupported_query_is_422(clerk: LocalClerk, query: str) -> None:
    response = call(clerk, "/v1/users?" + query.format(id=clerk.person("ada").id))
    assert response.status_code == 422
    assert code_of(response) == "form_param_value_invalid"


@pytest.mark.parametrize("order", ["created_at", "updated_at", "email_address", "first_name", "last_name"])
def test_each_ordering_can_be_reversed(clerk: LocalClerk, order: str) -> None:
    for name in ("yuki", "ada"):
        clerk.update(name, email=f"{name}@a.test", first_name=name, last_name=name)
    up = ids(call(clerk, f"/v1/users?order_by=%2B{order}&limit=500"))
    down = ids(call(clerk, f"/v1/users?order_by=-{order}&limit=500"))
    assert set(up) == set(down)
    assert up != down
    assert up[0] != down[0]


def test_the_newest_user_is_first_by_default(clerk: LocalClerk) -> None:
    newest = clerk.new_person()
    assert ids(call(clerk, "/v1/users"))[0] == newest.id


def test_filters_match_id_email_and_external_id(clerk: LocalClerk) -> None:
    bob = clerk.new_person(handle="bob", external_id="42", email="bob@example.test")
    ada = clerk.person("ada")
    assert ids(call(clerk, "/v1/users", params={"external_id": "42"})) == [bob.id]
    assert ids(call(clerk, "/v1/users", params={"email_address": "bob@example.test"})) == [bob.id]
    assert set(ids(call(clerk, "/v1/users", params={"user_id": [bob.id, ada.id, "user_2x"]}))) == {
        bob.id,
        ada.id,
    }
    assert call(clerk, "/v1/users/count", params={"external_id": "42"}).json()["total_count"] == 1
    assert ids(call(clerk, "/v1/users", params={"banned": "true"})) == [clerk.person("mallory").id]
    assert ids(call(clerk, "/v1/users", params={"created_at_after": bob.created_at - 1})) == [bob.id]


def test_one_user_has_the_fields_of_clerks_schema(clerk: LocalClerk) -> None:
    user = call(clerk, f"/v1/users/{clerk.person('alan').id}").json()
    assert user["object"] == "user"
    (address,) = user["email_addresses"]
    assert user["primary_email_address_id"] == address["id"]
    assert address["verification"]["status"] == "unverified"
    assert user["updated_at"] > 1e12


def test_a_user_without_an_address_has_an_empty_list(clerk: LocalClerk) -> None:
    user = call(clerk, f"/v1/users/{clerk.person('grace').id}").json()
    assert (user["email_addresses"], user["primary_email_address_id"]) == ([], None)


def test_a_user_object_can_be_malformed(clerk: LocalClerk) -> None:
    odd = clerk.new_person(raw={"email_addresses": "none", "first_name": 7})
    user = call(clerk, f"/v1/users/{odd.id}").json()
    assert (user["email_addresses"], user["first_name"]) == ("none", 7)


def test_a_change_is_stored_and_reported(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    response = call(clerk, f"/v1/users/{ada.id}", method="PATCH", json={"first_name": "Augusta"})
    assert response.json()["first_name"] == "Augusta"
    assert response.json()["updated_at"] > ada.updated_at
    assert [change.type for change in clerk.emulator.changes] == ["user.updated"]


@pytest.mark.parametrize("body", [{"banned": True}, {"first_name": 7}, {"shoe_size": 44}])
def test_a_field_that_cannot_be_set_is_422(clerk: LocalClerk, body: dict[str, object]) -> None:
    response = call(clerk, f"/v1/users/{clerk.person('ada').id}", method="PATCH", json=body)
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("ban", "banned", True),
        ("unban", "banned", False),
        ("lock", "locked", True),
        ("unlock", "locked", False),
    ],
)
def test_an_action_changes_the_user_and_is_reported(
    clerk: LocalClerk,
    action: str,
    field: str,
    value: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    ada = clerk.update("ada", **{field: not value})
    response = call(clerk, f"/v1/users/{ada.id}/{action}", method="POST")
    assert (response.status_code, response.json()[field]) == (200, value)
    assert getattr(clerk.person("ada"), field) is value
    assert [change.type for change in clerk.emulator.changes] == ["user.updated"] * 2


def test_metadata_is_merged_at_every_depth_by_patch(clerk: LocalClerk) -> None:
    path = f"/v1/users/{clerk.person('ada').id}/metadata"
    first = {"public_metadata": {"a": {"b": 1, "c": 2}, "d": 3}, "private_metadata": {"e": 4}}
    call(clerk, path, method="PATCH", json=first)
    patch = {"public_metadata": {"a": {"b": None, "f": {"g": None, "h": 5}}, "d": [6]}}
    user = call(clerk, path, method="PATCH", json=patch).json()
    assert user["public_metadata"] == {"a": {"c": 2, "f": {"h": 5}}, "d": [6]}
    assert (user["private_metadata"], user["unsafe_metadata"]) == ({"e": 4}, {})


def test_metadata_that_is_named_is_replaced_by_put(clerk: LocalClerk) -> None:
    path = f"/v1/users/{clerk.person('ada').id}/metadata"
    call(clerk, path, method="PUT", json={"public_metadata": {"a": 1}, "unsafe_metadata": {"b": 2}})
    user = call(clerk, path, method="PUT", json={"public_metadata": {"c": {"d": 3}}}).json()
    assert (user["public_metadata"], user["unsafe_metadata"]) == ({"c": {"d": 3}}, {"b": 2})
    assert call(clerk, f"/v1/users/{user['id']}").json()["public_metadata"] == {"c": {"d": 3}}


@pytest.mark.parametrize("body", [{"first_name": "X"}, {"public_metadata": 7}, {"public_metadata": [1]}])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_metadata_that_is_no_object_is_422(clerk: LocalClerk, method: str, body: dict[str, object]) -> None:
    response = call(clerk, f"/v1/users/{clerk.person('ada').id}/metadata", method=method, json=body)
    assert (response.status_code, code_of(response)) == (422, "form_param_value_invalid")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("{id}/ban", "GET", 405),
        ("{id}/metadata", "GET", 405),
        ("{id}/dance", "POST", 404),
        ("user_2unknown/ban", "POST", 404),
        ("user_2unknown/metadata", "PATCH", 404),
    ],
)
def test_an_action_that_clerk_does_not_have_is_refused(
    clerk: LocalClerk, path: str, method: str, status: int
) -> None:
    path = path.format(id=clerk.person("ada").id)
    assert call(clerk, f"/v1/users/{path}", method=method).status_code == status


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_an_unusable_body_is_400(clerk: LocalClerk, body: bytes) -> None:
    response = call(clerk, f"/v1/users/{clerk.person('ada').id}", method="PATCH", data=body)
    assert (response.status_code, code_of(response)) == (400, "request_body_invalid")


def test_a_deleted_user_is_404(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    assert call(clerk, f"/v1/users/{ada.id}", method="DELETE").json()["deleted"] is True
    response = call(clerk, f"/v1/users/{ada.id}")
    assert (response.status_code, code_of(response)) == (404, "resource_not_found")
    assert [change.type for change in clerk.emulator.changes] == ["user.deleted"]


@pytest.mark.parametrize("path", ["/v1/users/user_2unknown", "/v1/shoes"])
def test_an_unknown_user_or_address_is_404(clerk: LocalClerk, path: str) -> None:
    assert call(clerk, path).status_code == 404


def test_another_method_is_405(clerk: LocalClerk) -> None:
    assert call(clerk, "/v1/users", method="DELETE").status_code == 405


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "authorization_header_format_invalid"),
        ("sk_test_x", "authorization_header_format_invalid"),
        ("Bearer ", "authorization_header_format_invalid"),
        ("Bearer sk_test_wrong", "clerk_key_invalid"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/users", "/v1/users/count", "/v1/jwks"])
def test_every_address_is_401_without_the_secret_key(
    clerk: LocalClerk, path: str, authorization: str | None, code: str
) -> None:
    headers = {"Authorization": authorization}
    response = requests.get(clerk.api_url + path, headers=headers, timeout=10)
    assert (response.status_code, code_of(response)) == (401, code)


def test_the_keys_are_served_to_the_secret_key_too(clerk: LocalClerk) -> None:
    assert call(clerk, "/v1/jwks").json() == requests.get(clerk.jwks_url, timeout=10).json()


def test_answers_have_a_date(clerk: LocalClerk) -> None:
    dated = parsedate_to_datetime(call(clerk, "/v1/users").headers["Date"])
    assert abs(dated.timestamp() - time.time()) < 5


def test_planned_failures_happen_as_often_as_requested(clerk: LocalClerk) -> None:
    clerk.api_fails(429, times=2, retry_after=3)
    clerk.api_fails(503)
    answers = [call(clerk, "/v1/users/count") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 503, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert code_of(answers[0]) == "too_many_requests"
    assert "Retry-After" not in answers[2].headers


def test_calls_are_recorded(clerk: LocalClerk) -> None:
    call(clerk, "/v1/users?limit=1")
    call(clerk, "/v1/users/count")
    assert clerk.api_requests == [("GET", "/v1/users"), ("GET", "/v1/users/count")]


def test_no_file_of_the_emulator_holds_the_secret_key(clerk: LocalClerk) -> None:
    folder = Path(__file__).parent.parent.parent / "devclerk"
    texts = [path.read_text() for path in folder.rglob("*.py")]
    assert texts
    assert not any(clerk.secret_key in text or "PRIVATE KEY" in text for text in texts)


def test_a_page_is_plain_json(clerk: LocalClerk) -> None:
    response = call(clerk, "/v1/users?limit=500")
    assert response.headers["Content-Type"] == "application/json"
    assert "ليلى" in json.dumps(response.json(), ensure_ascii=False)
