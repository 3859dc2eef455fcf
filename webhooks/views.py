"""The webhook endpoint: size, signature, envelope, effect, response."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import NamedTuple

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.vary import vary_on_headers

from accounts.clerk.unexpected import log_unexpected
from accounts.conf import settings
from accounts.db import outside_atomic_requests
from accounts.deadline import Breaker, database_deadline
from accounts.signals import sync_failed
from webhooks.events import MalformedEvent, parse_event
from webhooks.handlers import SyncUnavailable, process_event
from webhooks.models import WebhookEvent
from webhooks.signature import InvalidSignature, NoUsableSecret, verify

MAX_BODY_BYTES = 256 * 1024
# Svix ignores the header and follows its own schedule; other clients may read it.
RETRY_AFTER_SECONDS = 5

logger = logging.getLogger(__name__)
breaker = Breaker("webhooks")


class MethodNotAllowed(Exception):
    """The request is not a POST."""


class PayloadTooLarge(Exception):
    """The body is larger than `MAX_BODY_BYTES`."""


class WrongInstance(Exception):
    """The event does not name CLERK_INSTANCE_ID as its Clerk instance."""


class Refusal(NamedTuple):
    """The response to a refused delivery. The code is stable; the detail may change."""

    status: int
    code: str
    detail: str


REFUSALS: dict[type[Exception], Refusal] = {
    MethodNotAllowed: Refusal(405, "method_not_allowed", "Webhooks are delivered with POST."),
    PayloadTooLarge: Refusal(413, "payload_too_large", "The body is larger than 256 KiB."),
    InvalidSignature: Refusal(
        400,
        "invalid_signature",
        "The signature is missing, malformed, more than five minutes off, or made with another secret.",
    ),
    MalformedEvent: Refusal(400, "malformed_event", "The body is not a JSON object with a `type`."),
    WrongInstance: Refusal(400, "wrong_instance", "The event is not from the configured Clerk instance."),
    NoUsableSecret: Refusal(
        503, "webhooks_not_configured", "No signing secret is configured. Deliver the event again later."
    ),
    SyncUnavailable: Refusal(
        503, "sync_unavailable", "The event could not be applied. Deliver it again later."
    ),
}

# Refusals after a good signature: Clerk sent the delivery, and it had no effect. No stranger can cause one.
GENUINE = (MalformedEvent, WrongInstance)


@outside_atomic_requests
@csrf_exempt
@cache_control(no_store=True)
@vary_on_headers("Authorization")
@database_deadline(breaker)
def clerk_webhook(request: HttpRequest) -> JsonResponse:
    """Process one delivery. After any status but 2xx, Svix delivers the event again for a day."""
    try:
        outcome = _receive(request, received_at=time.time_ns() // 1_000_000)
    except tuple(REFUSALS) as error:
        refusal = REFUSALS[type(error)]
        if isinstance(error, GENUINE):
            sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason=refusal.code)
        return _refuse(refusal)
    except Exception as error:  # noqa: BLE001 - the edge: an unexpected error is 503, logged by its class
        log_unexpected(logger, "Unexpected error in the webhook endpoint", error=error)
        sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason="unexpected_error")
        return _refuse(REFUSALS[SyncUnavailable])
    return JsonResponse({"outcome": outcome})


def _receive(request: HttpRequest, *, received_at: int) -> str:
    if request.method != "POST":
        raise MethodNotAllowed
    body = _read_body(request)
    svix_id = verify(body, headers=request.headers, secrets=settings.CLERK_WEBHOOK_SIGNING_SECRET)
    event = parse_event(body, received_at=received_at)
    if settings.CLERK_INSTANCE_ID and event.instance_id != settings.CLERK_INSTANCE_ID:
        raise WrongInstance
    return process_event(event, svix_id=svix_id, received_at=received_at)


def _read_body(request: HttpRequest) -> bytes:
    """Return the raw body, of which at most one byte more than allowed is read.

    The declared length may be missing or wrong. `request.body` is not used: its own limit answers 400.
    Raises PayloadTooLarge, or InvalidSignature if the body cannot be read.
    """
    try:
        length = int(request.META.get("CONTENT_LENGTH") or "")
    except ValueError:
        length = None
    if length is not None and length > MAX_BODY_BYTES:
        raise PayloadTooLarge
    # Without a declared length Django reads an empty body. A server that decodes chunked bodies marks its
    # stream as terminated.
    is_chunked = length is None and request.META.get("wsgi.input_terminated")
    stream = request.META["wsgi.input"] if is_chunked else request
    try:
        body: bytes = stream.read(MAX_BODY_BYTES + 1)
    except Exception as error:  # servers raise different errors for an aborted body
        logger.warning("The body of a webhook could not be read", extra={"error": type(error).__name__})
        raise InvalidSignature from error
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    return body


def _refuse(refusal: Refusal) -> JsonResponse:
    logger.warning("Webhook refused", extra={"code": refusal.code})
    kind = "server_error" if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "client_error"
    errors = [{"code": refusal.code, "detail": refusal.detail, "attr": None}]
    response = JsonResponse({"type": kind, "errors": errors}, status=refusal.status)
    if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response["Allow"] = "POST"
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
