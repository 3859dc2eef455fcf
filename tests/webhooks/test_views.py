from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from accounts.signals import sync_failed
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import (
    INSTANCE,
    code_of,
    deliver,
    encoded,
    envelope,
    make_secret,
    outcome_of,
    signed_headers,
    user_data,
)
from webhooks.models import WebhookEvent
from webhooks.views import clerk_webhook

if TYPE_CHECKING:
    from tests.webhooks.deliveries import Response

MAX_BODY_BYTES = 256 * 1024
PATHS = ["/webhooks/clerk", "/webhooks/clerk/"]


def padded_event(size: int) -> bytes:
    """Return an event of this size."""
    body = encoded(envelope("session.created", {"padding": ""}))
    return body.replace(b'"padding": ""', b'"padding": "' + b"x" * (size - len(body)) + b'"')


def expect_error(response: Response, status: int, code: str) -> None:
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    body = json.loads(response.content)
    assert body["type"] == ("server_error" if status >= 500 else "client_error")
    (error,) = body["errors"]
    assert error["code"] == code
    assert error["detail"]
    assert error["attr"] is None


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_both_paths_answer_without_a_redirect(path: str) -> None:
    response = deliver(envelope("user.created", user_data()), path=path)
    assert (response.status_code, response.json()) == (200, {"outcome": "created"})


@pytest.mark.django_db
@pytest.mark.parametrize("value", [b"9" * 4301, b"[" * 3000 + b"]" * 3000])
def test_unreadable_metadata_does_not_prevent_a_ban(value: bytes) -> None:
    body = encoded(envelope("user.updated", user_data(banned=True, unsafe_metadata={"x": 0})))
    assert outcome_of(body.replace(b'{"x": 0}', b'{"x": %b}' % value)) == "created"
    assert User.objects.get().banned


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_405(method: str, path: str) -> None:
    response = getattr(Client(), method)(path)
    assert response["Allow"] == "POST"
    if method == "head":
        assert response.status_code == 405
    else:
        expect_error(response, 405, "method_not_allowed")


@pytest.mark.django_db
def test_csrf_token_and_cookies_are_not_used() -> None:
    response = deliver(envelope("user.created", user_data()), client=Client(enforce_csrf_checks=True))
    assert response.status_code == 200
    assert not response.cookies


@pytest.mark.django_db
def test_body_of_the_maximum_size_is_accepted() -> None:
    body = padded_event(MAX_BODY_BYTES)
    assert len(body) == MAX_BODY_BYTES
    assert outcome_of(body) == "ignored"


@pytest.mark.parametrize("django_limit", [None, 1024, 10 * MAX_BODY_BYTES])
def test_one_byte_more_is_too_large_with_any_django_limit(
    settings: Settings, django_limit: int | None
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = django_limit
    expect_error(deliver(padded_event(MAX_BODY_BYTES + 1)), 413, "payload_too_large")


@pytest.mark.django_db
def test_django_limit_is_not_used(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 16
    assert outcome_of(envelope("user.created", user_data())) == "created"


class AbortedInput(io.BytesIO):
    """The input stream of a WSGI server whose client disconnected."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        raise self.error


def call_view(stream: io.BytesIO, **environment: object) -> tuple[int, str]:
    """Call the view with a WSGI environment; return the status and the code or outcome."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhooks/clerk",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": stream,
    }
    response = clerk_webhook(WSGIRequest(environ | environment))
    body = json.loads(response.content)
    return response.status_code, body["outcome"] if "outcome" in body else body["errors"][0]["code"]


def signed_environment(body: bytes) -> dict[str, object]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed_headers(body).items()}


def test_too_large_declared_length_is_refused_unread() -> None:
    stream = io.BytesIO(b"x" * (MAX_BODY_BYTES + 1))
    assert call_view(stream, CONTENT_LENGTH=str(MAX_BODY_BYTES + 1)) == (413, "payload_too_large")
    assert stream.tell() == 0


def test_chunked_body_is_read_up_to_the_limit() -> None:
    stream = io.BytesIO(b"x" * (MAX_BODY_BYTES * 4))
    response = call_view(stream, HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input_terminated": True})
    assert response == (413, "payload_too_large")
    assert stream.tell() == MAX_BODY_BYTES + 1


@pytest.mark.django_db
def test_chunked_delivery_creates_the_user() -> None:
    body = encoded(envelope("user.created", user_data()))
    environment = signed_environment(body) | {"wsgi.input_terminated": True}
    assert call_view(io.BytesIO(body), HTTP_TRANSFER_ENCODING="chunked", **environment) == (200, "created")


@pytest.mark.parametrize("length", ["", "invalid", "-1", "1" * 5000, "10", "0"])
def test_wrong_declared_length_is_refused(length: str) -> None:
    body = encoded(envelope("user.created", user_data()))
    status, code = call_view(io.BytesIO(body), CONTENT_LENGTH=length, **signed_environment(body))
    assert (status, code) in {(400, "invalid_signature"), (413, "payload_too_large")}


def test_declared_length_above_the_body_is_an_invalid_signature() -> None:
    body = encoded(envelope("user.created", user_data()))
    response = call_view(io.BytesIO(body[:-5]), CONTENT_LENGTH=str(len(body)), **signed_environment(body))
    assert response == (400, "invalid_signature")


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), RuntimeError("bad chunk size")])
def test_aborted_body_is_an_invalid_signature(error: Exception) -> None:
    assert call_view(AbortedInput(error), CONTENT_LENGTH="100") == (400, "invalid_signature")


@pytest.mark.django_db
@pytest.mark.parametrize("secrets", [None, 5, (None,), (5,)])
def test_unexpected_error_is_503_and_reported(
    settings: Settings, caplog: pytest.LogCaptureFixture, record_signal: RecordSignal, secrets: object
) -> None:
    failures = record_signal(sync_failed)
    settings.CLERK_WEBHOOK_SIGNING_SECRET = secrets
    response = deliver(envelope("user.created", user_data()))
    expect_error(response, 503, "sync_unavailable")
    assert int(response["Retry-After"]) > 0
    [failure] = failures
    assert (failure["clerk_id"], failure["source"], failure["reason"]) == (
        None,
        "webhook",
        "unexpected_error",
    )
    lines = [record for record in caplog.records if record.name == "webhooks.views"]
    [record] = [record for record in lines if record.levelname == "ERROR"]
    assert record.getMessage() == "Unexpected error in the webhook endpoint"
    assert vars(record)["error"] in {"TypeError", "AttributeError"}
    assert record.exc_info is None


def test_aborted_body_is_logged_by_class(caplog: pytest.LogCaptureFixture) -> None:
    call_view(AbortedInput(RuntimeError("canary-19d0")), CONTENT_LENGTH="100")
    [record] = [record for record in caplog.records if hasattr(record, "error")]
    assert record.getMessage() == "The body of a webhook could not be read"
    assert vars(record)["error"] == "RuntimeError"
    assert "canary-19d0" not in "".join(repr(vars(record)) for record in caplog.records)


def test_signature_is_verified_before_the_body_is_parsed() -> None:
    response = Client().post(
        "/webhooks/clerk", b"{", content_type="application/json", headers=signed_headers(b"[]")
    )
    expect_error(response, 400, "invalid_signature")


@pytest.mark.django_db
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": 7}', b"not json", b'"user.created"'])
def test_signed_body_without_an_event_is_malformed(body: bytes) -> None:
    expect_error(deliver(body), 400, "malformed_event")


@pytest.mark.django_db
@pytest.mark.parametrize("instance_id", ["ins_other", "", None, 7, [INSTANCE]])
def test_event_of_another_instance_is_refused(settings: Settings, instance_id: object) -> None:
    settings.CLERK_INSTANCE_ID = INSTANCE
    expect_error(
        deliver(envelope("user.created", user_data(), instance_id=instance_id)), 400, "wrong_instance"
    )


@pytest.mark.django_db
def test_event_without_instance_is_refused(settings: Settings) -> None:
    settings.CLERK_INSTANCE_ID = INSTANCE
    event = envelope("user.created", user_data())
    del event["instance_id"]
    expect_error(deliver(event), 400, "wrong_instance")


@pytest.mark.django_db
@pytest.mark.parametrize("expected", [INSTANCE, ""])
def test_event_of_the_configured_instance_is_accepted(settings: Settings, expected: str) -> None:
    settings.CLERK_INSTANCE_ID = expected
    assert outcome_of(envelope("user.created", user_data())) == "created"


@pytest.mark.parametrize("secrets", [(), ("whsec_",)])
def test_missing_secret_is_503(settings: Settings, secrets: tuple[str, ...]) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = secrets
    response = deliver(envelope("user.created", user_data()))
    expect_error(response, 503, "webhooks_not_configured")
    assert int(response["Retry-After"]) > 0


@pytest.mark.django_db
def test_each_secret_of_a_rotation_is_accepted(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (make_secret("new"), *settings.CLERK_WEBHOOK_SIGNING_SECRET)
    assert outcome_of(envelope("user.created", user_data())) == "created"


@pytest.mark.django_db
def test_refused_delivery_is_not_recorded() -> None:
    body = encoded(envelope("user.created", user_data()))
    headers = signed_headers(body, secret=make_secret("other"))
    response = Client().post("/webhooks/clerk", body, content_type="application/json", headers=headers)
    assert code_of(response) == "invalid_signature"
    assert not WebhookEvent.objects.exists()
