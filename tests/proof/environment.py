"""The environment of a proof: a running Clerk emulator, and an empty database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice

from django.test import override_settings

from accounts.models import SyncRun
from devclerk.emulator import Emulator
from devclerk.fixtures import KEY_COUNT, RETRY_SCHEDULE_SECONDS, LocalClerk
from devclerk.server import Server
from devclerk.tokens import fresh_keys
from health.models import SyncFailure
from health.recorder import recorder
from tests.proof.tables import MODELS
from webhooks.models import WebhookEvent


@contextmanager
def clerk_instance(
    *, users: int = 0, retry_schedule: Sequence[float] = RETRY_SCHEDULE_SECONDS
) -> Iterator[LocalClerk]:
    """Run a Clerk emulator with this number of users; webhooks are sent again after these seconds."""
    keys = cycle(islice(fresh_keys(), KEY_COUNT))
    with Server(Emulator(keys=keys, users=users, retry_schedule=retry_schedule)) as server:
        yield LocalClerk(server)


@contextmanager
def emulator_trusted(clerk: LocalClerk) -> Iterator[None]:
    """Configure the project in this process for the emulator; DEBUG permits its plain http."""
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
    """Delete all users, events, failures and runs."""
    for model in (*MODELS, WebhookEvent, SyncFailure, SyncRun):
        model.objects.all()._raw_delete("default")
    recorder.clear()
