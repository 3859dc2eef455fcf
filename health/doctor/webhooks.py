"""Examine webhooks: the signing secret, the instance, the last event, and the endpoint from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
from django.conf import settings as django_settings
from django.http.request import validate_host

from accounts.clerk.outgoing import USER_AGENT
from accounts.conf import settings
from accounts.models import CreatedVia, get_identity_model
from health.doctor.findings import Finding, error, ok, warning
from webhooks.models import WebhookEvent

TIMEOUT_SECONDS = 15.0  # as Svix waits
NO_DELIVERY = "No delivery of Clerk's arrives: changes and deletions do not reach this database."
LOOPBACK_HOSTS = ["localhost", ".localhost", "127.0.0.1", "[::1]"]
BEHIND = "Let POST requests without a login pass to /webhooks/clerk in the firewall, proxy or platform."
MAX_CODE_LENGTH = 40


def examine_secret() -> Iterator[Finding]:
    """Report a missing signing secret, and what CLERK_INSTANCE_ID refuses."""
    if not settings.CLERK_WEBHOOK_SIGNING_SECRET:
        yield warning(
            "CLERK_WEBHOOK_SIGNING_SECRET is not set: /webhooks/clerk answers 503.",
            why="Changes and deletions in Clerk arrive with the user's next request or not at all.",
            to_do="Add the endpoint in Clerk's dashboard, Webhooks, for user.created, user.updated and "
            "user.deleted, and copy its signing secret into the setting.",
        )
    elif settings.CLERK_INSTANCE_ID:
        yield ok(
            "CLERK_INSTANCE_ID is set: the dashboard's example events, which name another instance, are"
            " refused with 400 wrong_instance.",
            to_do="To test the endpoint, change a user in Clerk's dashboard instead.",
        )


def examine_events() -> Finding:
    """Return when the last event arrived; raise DatabaseError."""
    newest = WebhookEvent.objects.order_by("-received_at").first()
    if newest is not None:
        return ok(f"The last webhook arrived at {newest.received_at:%Y-%m-%d %H:%M} UTC.")
    test = "change a user in the dashboard" if settings.CLERK_INSTANCE_ID else "send a test event from there"
    if get_identity_model().objects.filter(created_via=CreatedVia.REQUEST).exists():
        return warning(
            "Users have signed in, but no webhook has ever arrived.",
            why="Changes and deletions made in Clerk do not reach this database.",
            to_do="Check the endpoint in Clerk's dashboard, Webhooks: its address ends in /webhooks/clerk "
            f"and must be reachable from the internet; --webhook-url examines it. Then {test}.",
        )
    return ok(
        "The webhook secret is set; no event has arrived yet.",
        to_do=f"Open Clerk's dashboard, Webhooks, and {test}.",
    )


def examine_endpoint(url: str) -> Iterator[Finding]:
    """Send a delivery without a signature to the endpoint's address, which must refuse it as such."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        yield error(
            "--webhook-url is no address.",
            why="The endpoint was not examined.",
            to_do="Write it as in Clerk's dashboard: https://api.example.com/webhooks/clerk",
        )
        return
    hosts = [*django_settings.ALLOWED_HOSTS, *(LOOPBACK_HOSTS if settings.DEBUG else [])]
    if not validate_host(parts.hostname, hosts):
        yield error(
            f"DJANGO_ALLOWED_HOSTS does not contain {parts.hostname}, the host of --webhook-url.",
            why="Each delivery is 400.",
            to_do="Add the host there.",
        )
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                url,
                data=b"{}",
                headers={"Content-Type": "application/json", "User-Agent": USER_AGENT},
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
    except (requests.RequestException, ValueError) as failure:
        yield error(
            f"The webhook endpoint gives no answer ({type(failure).__name__}).",
            why=NO_DELIVERY,
            to_do="Check the address, its name server entry, its certificate and the firewall before it.",
        )
        return
    yield _judge(answer.status_code, code=_read_code(answer.content))


def _read_code(body: bytes) -> str:
    """Return the code in an error of this project, else an empty text."""
    try:
        code = json.loads(body)["errors"][0]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and code.isidentifier() and len(code) <= MAX_CODE_LENGTH else ""


def _judge(status: int, *, code: str) -> Finding:
    if code == "invalid_signature":
        return ok("The webhook endpoint answers from outside, and refuses a delivery without a signature.")
    what = f"The webhook endpoint answers {status} ({code or 'not from this project'})"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        what += ", a redirect, which Clerk counts as a failure"
        to_do = "Use the final address: https, the right host, and no slash at the end."
    else:
        to_do = NEXT_STEPS.get(code or status, BEHIND)
    return error(f"{what}.", why=NO_DELIVERY, to_do=to_do)


NEXT_STEPS: dict[str | int, str] = {
    "webhooks_not_configured": "Set CLERK_WEBHOOK_SIGNING_SECRET for the servers at this address.",
    "sync_unavailable": "The servers at this address have no database: run the doctor there.",
    "not_found": "The address must end in /webhooks/clerk, without a slash after it.",
    HTTPStatus.NOT_FOUND: "The address must end in /webhooks/clerk, at the host of this project.",
    HTTPStatus.BAD_REQUEST: "Add the host to DJANGO_ALLOWED_HOSTS of the servers at this address.",
}
