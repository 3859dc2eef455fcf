"""Answers of the Backend API as pages of profiles, and what becomes of a page here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from accounts.bulk.page_sync import PageResult, sync_page
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI, UserAnswer
from accounts.clerk.profiles import ClerkProfile, Source, UnusableProfile, profile_from_user
from accounts.clerk.times import plausible_milliseconds
from accounts.signals import sync_failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePage:
    """People, each once; the entries that are none (their ids, "" without one); and where the page stands."""

    profiles: list[ClerkProfile]
    unusable: list[str]
    cursor: str | None = None


def iter_pages(api: ClerkAPI, *, starting_after: str | None = None, clock: Clock) -> Iterator[ProfilePage]:
    """Yield every person of the instance, a page at a time. Raises `ClerkAPIError`."""
    for page in api.iter_users(starting_after=starting_after):
        yield _read(page.users, observed_at=page.answered_at, now=milliseconds(clock), cursor=page.cursor)


def ask(api: ClerkAPI, clerk_id: str, *, clock: Clock) -> tuple[UserAnswer, int]:
    """Ask for one person; return the answer and the moment (ms, Clerk's clock) for which it vouches.

    That is its Date, which has whole seconds: what happened later in that second may be missing. Where it is
    absent or absurd, our own time of the question stands in. Raises `ClerkAPIError`.
    """
    asked_at = milliseconds(clock)
    answer = api.find_user(clerk_id)
    answered_at = plausible_milliseconds(answer.answered_at, now=milliseconds(clock))
    return answer, answered_at or asked_at


def page_of(answer: UserAnswer, *, now: int) -> ProfilePage:
    """Return the page of the one person who was asked for, empty if Clerk knows nobody."""
    users = [] if answer.user is None else [answer.user]
    return _read(users, observed_at=answer.answered_at, now=now)


def store_page(page: ProfilePage, *, source: str, dry_run: bool = False) -> PageResult:
    """Bring the page's people here and tell the observers of those who could not be stored.

    A dry run finds out what would become of them, and neither writes nor tells.
    """
    result = sync_page(page.profiles, source=source, dry_run=dry_run)
    if not dry_run:
        for clerk_id in page.unusable:
            sync_failed.send_robust(
                ProfilePage, clerk_id=clerk_id or None, source=source, reason="unusable_profile"
            )
    return result


def milliseconds(clock: Clock) -> int:
    """Return our own time as Clerk writes times."""
    return int(clock().timestamp() * 1000)


def _read(users: list[Any], *, observed_at: int | None, now: int, cursor: str | None = None) -> ProfilePage:
    profiles: dict[str, ClerkProfile] = {}
    unusable: list[str] = []
    for user in users:
        try:
            profile = profile_from_user(user, source=Source.API, observed_at=observed_at, now=now)
        except UnusableProfile:
            unusable.append("")
        else:
            profiles[profile.clerk_id] = profile
    return ProfilePage(profiles=list(profiles.values()), unusable=unusable, cursor=cursor)
