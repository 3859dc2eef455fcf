"""What every proof stands on: a Clerk instance that answers, and a database without people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice

from django.test import override_settings

from accounts.models import SyncRun, User
from devclerk.emulator import Emulator
from devclerk.fixtures import KEY_COUNT, RETRY_SCHEDULE_SECONDS, LocalClerk
from devclerk.server import Server
from devclerk.tokens import fresh_keys
from health.models import SyncFailure
from health.recorder import recorder
from webhooks.models import WebhookEvent


@contextmanager
def clerk_instance(
    *, users: int = 0, retry_schedule: Sequence[float] = RETRY_SCHEDULE_SECONDS
) -> Iterator[LocalClerk]:
    """Run a stand-in with so many made-up people; webhooks are resent after these seconds."""
    keys = cycle(islice(fresh_keys(), KEY_COUNT))
    with Server(Emulator(keys=keys, users=users, retry_schedule=retry_schedule)) as server:
        yield LocalClerk(server)


@contextmanager
def trusted(clerk: LocalClerk) -> Iterator[None]:
    """Let the project in this process trust the stand-in; debug is what permits its plain http."""
    with override_settings(
        DEBUG=True,
        CLERK_PUBLISHABLE_KEY="",
        CLERK_JWT_KEY="",
        CLERK_INSTANCE_ID="",
        CLERK_ISSUER=clerk.issuer,
        CLERK_JWKS_URL=clerk.jwks_url,
        CLERK_API_URL=clerk.api_url,
        CLERK_SECRET_KEY=clerk.secret_key,
        CLERK_WEBHOOK_SIGNING_SECRET=(clerk.webhook_secret,),
        CLERK_AUTHORIZED_PARTIES=(clerk.azp,),
    ):
        yield


def empty_database() -> None:
    """Forget everybody and everything that happened."""
    for model in (User, WebhookEvent, SyncFailure, SyncRun):
        model.objects.all()._raw_delete("default")
    recorder.forget()
