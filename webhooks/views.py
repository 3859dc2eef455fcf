"""Clerk's events come in here: size, signature, envelope, effect, answer."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.vary import vary_on_headers

from accounts.clerk.unexpected import log_unexpected
from accounts.signals import sync_failed
from webhooks.events import MalformedEvent, parse_event
from webhooks.handlers import SyncUnavailable, deliver
from webhooks.models import WebhookEvent
from webhooks.signature import InvalidSignature, NoUsableSecret, verify

MAX_BODY_BYTES = 256 * 1024
# Svix keeps to its own schedule; the header is for whoever else reads the answer.
RETRY_AFTER_SECONDS = 5

logger = logging.getLogger(__name__)


class MethodNotAllowed(Exception):
    """Not a POST."""


class PayloadTooLarge(Exception):
    """More bytes than any event has."""


class WrongInstance(Exception):
    """The event is genuine but from another Clerk instance than CLERK_INSTANCE_ID, or from an unnamed one."""


class Refusal(NamedTuple):
    """The answer to a delivery that was not taken: the code is the contract, the detail is for people."""

    status: HTTPStatus
    code: str
    detail: str


REFUSALS: dict[type[Exception], Refusal] = {
    MethodNotAllowed: Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Webhooks are delivered with POST."
    ),
    PayloadTooLarge: Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", "The body is larger than 256 KiB."
    ),
    InvalidSignature: Refusal(
        HTTPStatus.BAD_REQUEST,
        "invalid_signature",
        "The signature is missing, malformed, more than five minutes off, or made with another secret.",
    ),
    MalformedEvent: Refusal(
        HTTPStatus.BAD_REQUEST, "malformed_event", "The body is not a JSON object with a `type`."
    ),
    WrongInstance: Refusal(
        HTTPStatus.BAD_REQUEST,
        "wrong_instance",
        "The event is not from the Clerk instance that is served here.",
    ),
    NoUsableSecret: Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "webhooks_not_configured",
        "No signing secret is set up here yet. Deliver the event again later.",
    ),
    SyncUnavailable: Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "sync_unavailable",
        "The event could not be applied. Deliver it again later.",
    ),
}


@csrf_exempt
@cache_control(no_store=True)
@vary_on_headers("Authorization")
def clerk_webhook(request: HttpRequest) -> JsonResponse:
    """Answer one delivery. Anything but a 2xx makes Svix deliver it again, for a day."""
    try:
        outcome = _receive(request, received_at=time.time_ns() // 1_000_000)
    except tuple(REFUSALS) as error:
        return _refuse(REFUSALS[type(error)])
    except Exception as error:  # noqa: BLE001 - the edge: an error of ours is 503, logged by its class
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
    return deliver(event, svix_id=svix_id, received_at=received_at)


def _read_body(request: HttpRequest) -> bytes:
    """Read the raw bytes, at most one more than allowed: the declared length may be missing, or a lie.

    Django's own limit belongs to `request.body`, which this never touches: it would answer 400.
    """
    length = _declared_length(request)
    if length is not None and length > MAX_BODY_BYTES:
        raise PayloadTooLarge
    # Django takes a body without a length, sent in chunks, for an empty one. A server that decodes the chunks
    # marks its stream as one that ends by itself.
    chunked = length is None and request.META.get("wsgi.input_terminated")
    stream = request.META["wsgi.input"] if chunked else request
    try:
        body: bytes = stream.read(MAX_BODY_BYTES + 1)
    except Exception as error:  # each server has its own errors for a body that breaks off
        logger.warning("The body of a webhook could not be read", extra={"error": type(error).__name__})
        raise InvalidSignature from error
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    return body


def _declared_length(request: HttpRequest) -> int | None:
    try:
        return int(request.META.get("CONTENT_LENGTH") or "")
    except ValueError:
        return None


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
