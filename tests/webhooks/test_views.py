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
from tests.webhooks.deliveries import (
    INSTANCE,
    code_of,
    deliver,
    encoded,
    envelope,
    make_secret,
    outcome_of,
    person,
    signed_headers,
)
from webhooks.models import WebhookEvent
from webhooks.views import clerk_webhook

if TYPE_CHECKING:
    from tests.webhooks.deliveries import Response

LIMIT = 256 * 1024
PATHS = ["/webhooks/clerk", "/webhooks/clerk/"]


def padded(size: int) -> bytes:
    """Give an event that is genuine but for its size."""
    body = encoded(envelope("session.created", {"padding": ""}))
    return body.replace(b'"padding": ""', b'"padding": "' + b"x" * (size - len(body)) + b'"')


def expect(response: Response, status: int, code: str) -> None:
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
def test_both_spellings_of_the_address_answer_without_a_redirect(path: str) -> None:
    response = deliver(envelope("user.created", person()), path=path)
    assert (response.status_code, response.json()) == (200, {"outcome": "created"})


@pytest.mark.django_db
@pytest.mark.parametrize("piece", [b"9" * 4301, b"[" * 3000 + b"]" * 3000])
def test_nobody_keeps_their_ban_away_by_what_they_wrote_about_themselves(piece: bytes) -> None:
    body = encoded(envelope("user.updated", person(banned=True, unsafe_metadata={"x": 0})))
    assert outcome_of(body.replace(b'{"x": 0}', b'{"x": %b}' % piece)) == "created"
    assert User.objects.get().banned


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
@pytest.mark.parametrize("path", PATHS)
def test_any_other_method_is_refused_with_the_one_that_is_allowed(method: str, path: str) -> None:
    response = getattr(Client(), method)(path)
    assert response["Allow"] == "POST"
    if method == "head":
        assert response.status_code == 405
    else:
        expect(response, 405, "method_not_allowed")


@pytest.mark.django_db
def test_no_csrf_token_is_asked_for_and_no_cookie_is_set() -> None:
    response = deliver(envelope("user.created", person()), client=Client(enforce_csrf_checks=True))
    assert response.status_code == 200
    assert not response.cookies


@pytest.mark.django_db
def test_a_body_of_the_greatest_size_is_read() -> None:
    body = padded(LIMIT)
    assert len(body) == LIMIT
    assert outcome_of(body) == "ignored"


@pytest.mark.parametrize("django_limit", [None, 1024, 10 * LIMIT])
def test_one_byte_more_is_too_large_whatever_django_allows(
    settings: Settings, django_limit: int | None
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = django_limit
    expect(deliver(padded(LIMIT + 1)), 413, "payload_too_large")


@pytest.mark.django_db
def test_the_limit_is_ours_alone(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 16
    assert outcome_of(envelope("user.created", person())) == "created"


class BrokenInput(io.BytesIO):
    """The input stream of a WSGI server whose client went away."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        raise self.error


def serve(stream: io.BytesIO, **environment: object) -> tuple[int, str]:
    """Call the view with what a WSGI server gives; return the status and the code or outcome."""
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


def test_a_declared_length_over_the_limit_is_refused_without_reading() -> None:
    stream = io.BytesIO(b"x" * (LIMIT + 1))
    assert serve(stream, CONTENT_LENGTH=str(LIMIT + 1)) == (413, "payload_too_large")
    assert stream.tell() == 0


def test_a_chunked_body_is_read_to_one_byte_over_the_limit_at_most() -> None:
    stream = io.BytesIO(b"x" * (LIMIT * 4))
    answer = serve(stream, HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input_terminated": True})
    assert answer == (413, "payload_too_large")
    assert stream.tell() == LIMIT + 1


@pytest.mark.django_db
def test_a_chunked_delivery_takes_effect() -> None:
    body = encoded(envelope("user.created", person()))
    environment = signed_environment(body) | {"wsgi.input_terminated": True}
    assert serve(io.BytesIO(body), HTTP_TRANSFER_ENCODING="chunked", **environment) == (200, "created")


@pytest.mark.parametrize("length", ["", "nonsense", "-1", "1" * 5000, "10", "0"])
def test_a_length_that_is_a_lie_gives_a_body_that_nobody_signed(length: str) -> None:
    body = encoded(envelope("user.created", person()))
    status, code = serve(io.BytesIO(body), CONTENT_LENGTH=length, **signed_environment(body))
    assert (status, code) in {(400, "invalid_signature"), (413, "payload_too_large")}


def test_a_length_greater_than_the_body_gives_a_body_that_nobody_signed() -> None:
    body = encoded(envelope("user.created", person()))
    answer = serve(io.BytesIO(body[:-5]), CONTENT_LENGTH=str(len(body)), **signed_environment(body))
    assert answer == (400, "invalid_signature")


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), RuntimeError("bad chunk size")])
def test_a_body_that_breaks_off_is_one_that_nobody_signed(error: Exception) -> None:
    assert serve(BrokenInput(error), CONTENT_LENGTH="100") == (400, "invalid_signature")


@pytest.mark.django_db
@pytest.mark.parametrize("secrets", [None, 5, (None,), (5,)])
def test_an_unexpected_error_is_503_logged_by_its_class_and_recorded(
    settings: Settings, caplog: pytest.LogCaptureFixture, secrets: object
) -> None:
    heard: list[tuple[object, str, str]] = []

    def listen(sender: object, clerk_id: str | None, source: str, reason: str, **_: object) -> None:
        heard.append((clerk_id, source, reason))

    settings.CLERK_WEBHOOK_SIGNING_SECRET = secrets
    sync_failed.connect(listen)
    try:
        response = deliver(envelope("user.created", person()))
    finally:
        sync_failed.disconnect(listen)
    expect(response, 503, "sync_unavailable")
    assert int(response["Retry-After"]) > 0
    assert heard == [(None, "webhook", "unexpected_error")]
    lines = [record for record in caplog.records if record.name == "webhooks.views"]
    [record] = [record for record in lines if record.levelname == "ERROR"]
    assert record.getMessage() == "Unexpected error in the webhook endpoint"
    assert vars(record)["error"] in {"TypeError", "AttributeError"}
    assert record.exc_info is None


def test_a_body_that_breaks_off_is_logged_by_the_class_of_its_error(caplog: pytest.LogCaptureFixture) -> None:
    serve(BrokenInput(RuntimeError("canary-19d0")), CONTENT_LENGTH="100")
    [record] = [record for record in caplog.records if hasattr(record, "error")]
    assert record.getMessage() == "The body of a webhook could not be read"
    assert vars(record)["error"] == "RuntimeError"
    assert "canary-19d0" not in "".join(repr(vars(record)) for record in caplog.records)


def test_a_wrong_signature_is_refused_before_the_body_is_looked_at() -> None:
    response = Client().post(
        "/webhooks/clerk", b"{", content_type="application/json", headers=signed_headers(b"[]")
    )
    expect(response, 400, "invalid_signature")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": 7}', b"not json", b'"user.created"'])
def test_a_signed_body_that_is_no_event_is_malformed(body: bytes) -> None:
    expect(deliver(body), 400, "malformed_event")


@pytest.mark.parametrize("instance_id", ["ins_other", "", None, 7, [INSTANCE]])
def test_an_event_of_another_instance_is_refused(settings: Settings, instance_id: object) -> None:
    settings.CLERK_INSTANCE_ID = INSTANCE
    expect(deliver(envelope("user.created", person(), instance_id=instance_id)), 400, "wrong_instance")


def test_an_event_that_names_no_instance_is_refused_when_one_is_expected(settings: Settings) -> None:
    settings.CLERK_INSTANCE_ID = INSTANCE
    event = envelope("user.created", person())
    del event["instance_id"]
    expect(deliver(event), 400, "wrong_instance")


@pytest.mark.django_db
@pytest.mark.parametrize("expected", [INSTANCE, ""])
def test_an_event_of_the_expected_or_of_any_instance_is_taken(settings: Settings, expected: str) -> None:
    settings.CLERK_INSTANCE_ID = expected
    assert outcome_of(envelope("user.created", person())) == "created"


@pytest.mark.parametrize("secrets", [(), ("whsec_",)])
def test_without_a_secret_the_sender_is_asked_to_try_again(
    settings: Settings, secrets: tuple[str, ...]
) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = secrets
    response = deliver(envelope("user.created", person()))
    expect(response, 503, "webhooks_not_configured")
    assert int(response["Retry-After"]) > 0


@pytest.mark.django_db
def test_each_secret_of_a_rotation_is_good(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (make_secret("new"), *settings.CLERK_WEBHOOK_SIGNING_SECRET)
    assert outcome_of(envelope("user.created", person())) == "created"


@pytest.mark.django_db
def test_a_refused_delivery_leaves_nothing_in_the_ledger() -> None:
    body = encoded(envelope("user.created", person()))
    headers = signed_headers(body, secret=make_secret("other"))
    response = Client().post("/webhooks/clerk", body, content_type="application/json", headers=headers)
    assert code_of(response) == "invalid_signature"
    assert not WebhookEvent.objects.exists()
