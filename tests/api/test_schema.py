"""The OpenAPI schema, its documentation page, and who may read them."""

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
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from pytest_django import Settings
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.permissions import (
    HasFeature,
    HasOrganization,
    HasOrganizationPermission,
    HasOrganizationRole,
    HasPlan,
    RecentlyVerified,
)
from tests.api.conftest import PATHS, error_of
from tests.factories import UserFactory

COMMITTED = Path(__file__).parents[2] / "api" / "openapi.yaml"
GUARDS: tuple[Any, ...] = (
    HasOrganization,
    HasOrganizationRole("admin"),
    HasOrganizationPermission("org:reports:read"),
    HasFeature("beta"),
    HasPlan("pro"),
    RecentlyVerified("strict"),
)
ENVELOPE = {"$ref": "#/components/schemas/ErrorResponse"}


class Reports(APIView):
    permission_classes = (IsAuthenticated, *GUARDS)

    @extend_schema(responses=str)
    def get(self, request: Request) -> Response:
        return Response("")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Return the schema of the package `api`, without that of a clone's own apps."""
    return dict(yaml.safe_load(generate(urlconf="api.urls")))


def generate(**options: str) -> str:
    """Return the schema as `make schema` writes it."""
    written = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=written, **options)
    return written.getvalue()


@pytest.fixture
def in_debug(settings: Settings) -> None:
    settings.DEBUG = True


# The committed schema


def test_committed_schema_is_up_to_date() -> None:
    assert COMMITTED.read_text() == generate(), (
        "The API has changed but api/openapi.yaml has not. Run `make schema` and commit it."
    )


def test_schema_has_exactly_the_paths_of_the_api(schema: dict[str, Any]) -> None:
    assert schema["openapi"] == "3.0.3"
    assert sorted(schema["paths"]) == PATHS


def test_every_operation_requires_the_bearer_token(schema: dict[str, Any]) -> None:
    scheme = schema["components"]["securitySchemes"]["ClerkSession"]

    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for operation in operations(schema):
        assert operation["security"] == [{"ClerkSession": []}]


def test_every_error_has_the_envelope_and_an_example(schema: dict[str, Any]) -> None:
    for operation in operations(schema):
        errors = {status: response for status, response in operation["responses"].items() if status != "200"}
        assert {"400", "401", "403", "405", "500", "503"} <= set(errors)
        for response in errors.values():
            assert response["content"]["application/json"]["schema"] == ENVELOPE
            assert response["content"]["application/json"]["examples"]


def test_every_success_has_an_example_with_all_fields(schema: dict[str, Any]) -> None:
    for operation in operations(schema):
        content = operation["responses"]["200"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        for example in content["examples"].values():
            assert set(example["value"]) == set(schema["components"]["schemas"][name]["properties"])


def test_response_headers_are_documented(schema: dict[str, Any]) -> None:
    for operation in operations(schema):
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"]
            assert ("WWW-Authenticate" in response["headers"]) is (status == "401")
            assert ("Retry-After" in response["headers"]) is (status == "503")


def test_email_and_image_url_have_no_format(schema: dict[str, Any]) -> None:
    user = schema["components"]["schemas"]["User"]["properties"]

    assert "format" not in user["email"]
    assert "format" not in user["image_url"]
    assert user["email"]["nullable"] is True


def test_refusals_of_the_permissions_of_a_view_are_documented() -> None:
    patterns = [path("api/v1/reports", Reports.as_view())]
    generated = SchemaGenerator(patterns=patterns).get_schema(public=True)  # type: ignore[no-untyped-call]
    responses = generated["paths"]["/api/v1/reports"]["get"]["responses"]

    own = {
        example["value"]["errors"][0]["code"]: example["value"] for example in examples_of(responses["403"])
    }
    assert {guard.code for guard in GUARDS} < set(own)
    assert "org:reports:read" in own["organization_permission_required"]["errors"][0]["detail"]
    assert own["reverification_required"]["clerk_error"]["metadata"] == {"reverification": "strict"}
    assert "clerk_error" not in own["feature_required"]
    assert {"token_expired"} <= {one["value"]["errors"][0]["code"] for one in examples_of(responses["401"])}
    assert "organization_permission_required" not in str(responses["401"])


def test_operations_without_such_permissions_do_not_name_them(schema: dict[str, Any]) -> None:
    assert "organization_required" not in str(schema["paths"])
    assert schema["components"]["schemas"]["ErrorResponse"]["required"] == ["errors", "type"]


def examples_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    return list(response["content"]["application/json"]["examples"].values())


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


# Access


@pytest.mark.usefixtures("in_debug")
@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/vnd.oai.openapi", "application/yaml"]
)
def test_schema_in_debug_is_public_and_runs_no_statement(client: Client, accept: str) -> None:
    # The test has no access to the database: a statement would raise.
    response = client.get("/api/schema", headers={"Accept": accept})

    assert response.status_code == 200
    assert yaml.safe_load(response.content) == yaml.safe_load(COMMITTED.read_text())


@pytest.mark.usefixtures("in_debug")
@pytest.mark.parametrize("headers", [{}, {"Accept": "text/html"}], ids=["no header", "HTML"])
def test_default_format_is_json(client: Client, headers: dict[str, str]) -> None:
    assert client.get("/api/schema", headers=headers).json()["openapi"] == "3.0.3"


def test_schema_outside_debug_is_403_without_a_session(client: Client) -> None:
    response = client.get("/api/schema")

    assert response.status_code == 403
    assert error_of(response)["code"] == "permission_denied"


def test_docs_outside_debug_redirect_to_the_admin_login(client: Client) -> None:
    response = client.get("/api/docs")

    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/login/?next=/api/docs"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/schema", "/api/docs", "/api/docs?script="])
def test_admin_session_may_read_schema_and_docs(client: Client, path: str) -> None:
    client.force_login(UserFactory.create(clerk_id=None, is_staff=True))

    assert client.get(path).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "status"), [("/api/schema", 403), ("/api/docs", 302)], ids=["schema", "docs"]
)
@pytest.mark.parametrize("fields", [{"is_staff": False}, {"is_staff": True, "is_active": False}])
def test_session_of_other_users_may_not_read_schema_and_docs(
    client: Client, path: str, status: int, fields: dict[str, bool]
) -> None:
    user: User = UserFactory.create(clerk_id=None, **fields)
    client.force_login(user)

    assert client.get(path).status_code == status


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_unavailable_database_is_503_with_retry_after(
    client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", 1)  # no server listens on this port

    response = client.get(path, headers={"Cookie": "sessionid=abcdefghijk"})

    assert response.status_code == 503
    assert error_of(response)["code"] == "sync_unavailable"
    assert int(response.headers["Retry-After"]) >= 1


# Documentation page


@pytest.mark.usefixtures("in_debug")
def test_docs_load_nothing_from_another_host(client: Client) -> None:
    page = client.get("/api/docs").content.decode() + client.get("/api/docs?script=").content.decode()

    assert "http://" not in page
    assert "https://" not in page
    assert '"validatorUrl": null' in page


@pytest.mark.usefixtures("in_debug")
def test_files_of_the_docs_are_local(client: Client) -> None:
    page = client.get("/api/docs").content.decode()

    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
        path = f"drf_spectacular_sidecar/swagger-ui-dist/{name}"
        assert f"/static/{path}" in page
        assert finders.find(path)


@pytest.mark.usefixtures("in_debug")
def test_script_of_the_docs_loads_the_schema(client: Client) -> None:
    response = client.get("/api/docs?script=")

    assert response.headers["Content-Type"].startswith("application/javascript")
    assert 'url: "/api/schema"' in response.content.decode().replace("\\u002D", "-")
