"""The description of the API, and who may read it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests.api.conftest import error_of
from tests.factories import UserFactory

COMMITTED = Path(__file__).parents[2] / "api" / "openapi.yaml"
ENVELOPE = {"$ref": "#/components/schemas/ErrorResponse"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(yaml.safe_load(COMMITTED.read_text()))


@pytest.fixture
def in_debug(settings: Settings) -> None:
    settings.DEBUG = True


# The committed file


def test_the_committed_schema_is_the_one_the_code_gives_without_a_warning() -> None:
    written = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=written)

    assert COMMITTED.read_text() == written.getvalue(), (
        "The API changed and its description did not. Run: "
        "python manage.py spectacular --validate --fail-on-warn --file api/openapi.yaml"
    )


def test_it_describes_the_api_and_nothing_else(schema: dict[str, Any]) -> None:
    assert schema["openapi"] == "3.0.3"
    assert set(schema["paths"]) == {"/api/v1/me", "/api/v1/session", "/api/v1/users", "/api/v1/users/{id}"}


def test_every_operation_asks_for_the_bearer_token(schema: dict[str, Any]) -> None:
    scheme = schema["components"]["securitySchemes"]["ClerkSession"]

    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for operation in operations(schema):
        assert operation["security"] == [{"ClerkSession": []}]


def test_every_error_is_documented_with_the_envelope_and_an_example(schema: dict[str, Any]) -> None:
    for operation in operations(schema):
        errors = {status: answer for status, answer in operation["responses"].items() if status != "200"}
        assert {"400", "401", "403", "405", "500", "503"} <= set(errors)
        for answer in errors.values():
            assert answer["content"]["application/json"]["schema"] == ENVELOPE
            assert answer["content"]["application/json"]["examples"]


def test_every_success_has_an_example_with_all_the_fields(schema: dict[str, Any]) -> None:
    for operation in operations(schema):
        content = operation["responses"]["200"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        for example in content["examples"].values():
            assert set(example["value"]) == set(schema["components"]["schemas"][name]["properties"])


def test_the_headers_of_the_answers_are_documented(schema: dict[str, Any]) -> None:
    for operation in operations(schema):
        for status, answer in operation["responses"].items():
            assert "X-Request-ID" in answer["headers"]
            assert ("WWW-Authenticate" in answer["headers"]) is (status == "401")
            assert ("Retry-After" in answer["headers"]) is (status == "503")


def test_nothing_claims_that_an_address_or_a_picture_passes_a_validator(schema: dict[str, Any]) -> None:
    person = schema["components"]["schemas"]["User"]["properties"]

    assert "format" not in person["email"]
    assert "format" not in person["image_url"]
    assert person["email"]["nullable"] is True


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


# Who may read it


@pytest.mark.usefixtures("in_debug")
@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/vnd.oai.openapi", "application/yaml"]
)
def test_anyone_may_read_it_in_debug_and_no_database_is_asked(client: Client, accept: str) -> None:
    # No mark for the database: a statement would raise.
    response = client.get("/api/schema", headers={"Accept": accept})

    assert response.status_code == 200
    assert yaml.safe_load(response.content) == yaml.safe_load(COMMITTED.read_text())


@pytest.mark.usefixtures("in_debug")
@pytest.mark.parametrize("headers", [{}, {"Accept": "text/html"}], ids=["nothing", "a page"])
def test_json_is_what_one_gets_without_asking_for_yaml(client: Client, headers: dict[str, str]) -> None:
    assert client.get("/api/schema", headers=headers).json()["openapi"] == "3.0.3"


def test_outside_debug_a_stranger_is_refused(client: Client) -> None:
    response = client.get("/api/schema")

    assert response.status_code == 403
    assert error_of(response)["code"] == "permission_denied"


def test_outside_debug_a_stranger_is_led_from_the_docs_to_the_admin_login(client: Client) -> None:
    response = client.get("/api/docs")

    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/login/?next=/api/docs"


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/api/schema", "/api/docs", "/api/docs?script="])
def test_outside_debug_an_admin_session_opens_it(client: Client, address: str) -> None:
    client.force_login(UserFactory.create(clerk_id=None, is_staff=True))

    assert client.get(address).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "status"), [("/api/schema", 403), ("/api/docs", 302)], ids=["schema", "docs"]
)
@pytest.mark.parametrize("person", [{"is_staff": False}, {"is_staff": True, "is_active": False}])
def test_outside_debug_no_other_session_opens_it(
    client: Client, address: str, status: int, person: dict[str, bool]
) -> None:
    user: User = UserFactory.create(clerk_id=None, **person)
    client.force_login(user)

    assert client.get(address).status_code == status


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["/api/schema", "/api/docs"])
def test_without_a_database_nobody_can_be_known_and_everybody_is_told_to_wait(
    client: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", 1)  # nobody listens there

    response = client.get(address, headers={"Cookie": "sessionid=abcdefghijk"})

    assert response.status_code == 503
    assert error_of(response)["code"] == "sync_unavailable"
    assert int(response.headers["Retry-After"]) >= 1


# The page


@pytest.mark.usefixtures("in_debug")
def test_the_page_loads_nothing_from_another_host(client: Client) -> None:
    page = client.get("/api/docs").content.decode() + client.get("/api/docs?script=").content.decode()

    assert "http://" not in page
    assert "https://" not in page
    assert '"validatorUrl": null' in page


@pytest.mark.usefixtures("in_debug")
def test_the_page_s_files_are_ours(client: Client) -> None:
    page = client.get("/api/docs").content.decode()

    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
        path = f"drf_spectacular_sidecar/swagger-ui-dist/{name}"
        assert f"/static/{path}" in page
        assert finders.find(path)


@pytest.mark.usefixtures("in_debug")
def test_the_page_s_script_reads_our_schema(client: Client) -> None:
    response = client.get("/api/docs?script=")

    assert response.headers["Content-Type"].startswith("application/javascript")
    assert 'url: "/api/schema"' in response.content.decode().replace("\\u002D", "-")
