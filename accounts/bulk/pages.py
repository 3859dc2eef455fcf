"""Pages of profiles from the Backend API, and the storing of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accounts.bulk.page_sync import PageResult, sync_page
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI, UserAnswer
from accounts.clerk.profiles import ClerkProfile, Source, UnusableProfile, profile_from_user
from accounts.clerk.times import plausible_milliseconds
from accounts.conf import get_extra_fields
from accounts.notifications import notify_failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePage:
    """The users of a page, each once.

    `external_ids` maps each Clerk id to the `external_id` that Clerk sent. `unusable` counts the entries
    without a usable Clerk id. The next page begins after the user whose Clerk id is `cursor`.
    """

    profiles: list[ClerkProfile]
    external_ids: Mapping[str, object]
    unusable: int
    cursor: str | None = None


def iter_pages(api: ClerkAPI, *, starting_after: str | None = None, clock: Clock) -> Iterator[ProfilePage]:
    """Yield all users of the instance, page by page. Raises ClerkAPIError."""
    for page in api.iter_users(starting_after=starting_after):
        yield read_page(page.users, answered_at=page.answered_at, clock=clock, cursor=page.cursor)


def read_page(
    users: list[Any], *, answered_at: int | None, clock: Clock, cursor: str | None = None
) -> ProfilePage:
    """Return the page of these Backend API users; `answered_at` is the Date of the response in ms."""
    now = read_milliseconds(clock)
    profiles: dict[str, ClerkProfile] = {}
    external_ids: dict[str, object] = {}
    unusable = 0
    extra_fields = get_extra_fields()
    for user in users:
        try:
            profile = profile_from_user(
                user, source=Source.API, observed_at=answered_at, now=now, extra_fields=extra_fields
            )
        except UnusableProfile:
            unusable += 1
        else:
            profiles[profile.clerk_id] = profile
            external_ids[profile.clerk_id] = user.get("external_id")
    return ProfilePage(
        profiles=list(profiles.values()), external_ids=external_ids, unusable=unusable, cursor=cursor
    )


def fetch_user(api: ClerkAPI, clerk_id: str, *, clock: Clock) -> tuple[UserAnswer, int]:
    """Fetch a user; return the answer and a time (ms, Clerk's clock) at which it was true.

    That is the Date of the response, in whole seconds: a later change in the same second may be missing. If
    the Date is absent or implausible, it is the time at which the request was sent. Raises ClerkAPIError.
    """
    sent_at = read_milliseconds(clock)
    answer = api.find_user(clerk_id)
    answered_at = plausible_milliseconds(answer.answered_at, now=read_milliseconds(clock))
    return answer, answered_at or sent_at


def store_page(page: ProfilePage, *, source: str, dry_run: bool = False) -> PageResult:
    """Store the users of the page, and notify observers of those that could not be stored.

    A dry run returns the same outcomes, writes nothing and notifies no observer. Raises django.db.Error.
    """
    result = sync_page(page.profiles, source=source, dry_run=dry_run)
    if not dry_run:
        for _ in range(page.unusable):
            notify_failed(None, source=source, reason="unusable_profile")
    return result


def read_milliseconds(clock: Clock) -> int:
    """Return the time of this machine in ms, the unit of Clerk's times."""
    return int(clock().timestamp() * 1000)
