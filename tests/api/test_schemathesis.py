"""Every response to generated requests conforms to the OpenAPI schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import User
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from tests.api.conftest import PATHS

COMMITTED = Path(__file__).parents[2] / "api" / "openapi.yaml"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REFUSED: dict[str, dict[str, object]] = {
    "not staff": {},
    "expired": {"fault": Fault.EXPIRED},
    "pending": {"fault": Fault.PENDING},
    "other issuer": {"fault": Fault.WRONG_ISSUER},
    "impersonated": {"actor": "user_support"},
}

schema = schemathesis.openapi.from_path(COMMITTED).include(path=PATHS)
schema.app = get_wsgi_application()


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Keep the connection of the test open after each request, as Django's test client does."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.usefixtures("clerk_settings")
@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    # The requests do not change the rows of the fixtures.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_every_response_is_documented(case: schemathesis.Case[Any], clerk: LocalClerk, staff: User) -> None:
    token = clerk.mint(str(staff.clerk_id))

    case.call_and_validate(headers={"Authorization": f"Bearer {token}", "Host": "testserver"}, checks=CHECKS)


@pytest.mark.django_db
@pytest.mark.usefixtures("clerk_settings")
@pytest.mark.parametrize("token", ["none", "garbage", *REFUSED])
@schema.parametrize()
@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_every_response_to_a_refused_token_is_documented(
    case: schemathesis.Case[Any], clerk: LocalClerk, token: str
) -> None:
    sent = clerk.mint("ada", **REFUSED[token]) if token in REFUSED else token
    bearer = {} if token == "none" else {"Authorization": f"Bearer {sent}"}

    case.call_and_validate(headers=bearer | {"Host": "testserver"}, checks=CHECKS)
