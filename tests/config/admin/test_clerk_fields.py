"""The fields of Clerk in the admin: further ones, and texts that would hide or reorder others."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import DeletedBy
from tests.config.admin.pages import USERS, change_page, get_page
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
REVERSED = "\u202enimda\u202c\x07"
SHOWN = "\ufffdnimda\ufffd\ufffd"


def test_further_fields_are_shown_read_only(client: Client) -> None:
    extra = {"username": "ada", "locale": None, "public_metadata": {"b": [1, "é"], "a": True}}
    text = get_page(client, change_page(UserFactory.create(extra=extra)))
    assert "Further fields" in text
    shown = (
        "<div>locale: <bdi>-</bdi></div>"
        "<div>public_metadata: <bdi>{&quot;a&quot;: true, &quot;b&quot;: [1, &quot;é&quot;]}</bdi></div>"
        "<div>username: <bdi>ada</bdi></div>"
    )
    assert shown in text
    assert 'name="extra"' not in text


def test_user_without_further_fields_has_a_page(client: Client) -> None:
    text = get_page(client, change_page(UserFactory.create(email=None, first_name="", image_url="")))
    assert '<div class="readonly">-</div>' in text


@pytest.mark.parametrize("field", ["first_name", "last_name", "email"])
def test_hidden_characters_are_replaced_in_list_page_and_confirmation(client: Client, field: str) -> None:
    user = UserFactory.create(**{field: REVERSED})
    pages = [
        get_page(client),
        get_page(client, change_page(user)),
        client.post(USERS, {"action": "deactivate", "_selected_action": [str(user.pk)]}).content.decode(),
    ]
    for text in pages:
        assert SHOWN in text
        assert not {"\u202e", "\u202c", "\x07"} & set(text)


def test_hidden_characters_are_replaced_in_further_fields(client: Client) -> None:
    extra = {"username": REVERSED, "public_metadata": {REVERSED: "<script>"}}
    text = get_page(client, change_page(UserFactory.create(extra=extra)))
    assert text.count("\ufffdnimda\ufffd") == 2
    assert "\u202e" not in text
    assert "<script>&" not in text
    assert "&lt;script&gt;" in text


def test_further_fields_of_a_deleted_user_are_shown_until_they_are_erased(client: Client) -> None:
    user = UserFactory.create(
        extra={"locale": "en-GB"}, deleted_at=timezone.now(), deleted_by=DeletedBy.CLERK
    )
    assert "en-GB" in get_page(client, change_page(user))
