"""Characters that hide or reorder others: refused in addresses, replaced where names are shown."""

from __future__ import annotations

import pytest

from accounts.clerk.texts import replace_hidden
from tests.accounts.clerk.profiles import profile_of_claims, profile_of_user

CONTROL = ["\x00", "\x01", "\x1b", "\x1f", "\x7f", "\x85", "\x9f"]
BIDIRECTIONAL = ["\u061c", "\u200e", "\u200f", "\u202a", "\u202d", "\u202e", "\u2066", "\u2069"]
INVISIBLE = ["\xad", "\u180e", "\u200b", "\u2028", "\u2029", "\u2060", "\u206f", "\ufeff", "\ufffb"]
JOINING = ["\u200c", "\u200d", "\U000e0001", "\U000e007f"]


@pytest.mark.parametrize("character", [*CONTROL, *BIDIRECTIONAL, *INVISIBLE, *JOINING])
@pytest.mark.parametrize("form", ["a{}b@example.test", "ab@exa{}mple.test"])
def test_address_with_a_hidden_character_is_unusable(form: str, character: str) -> None:
    address = form.format(character)
    item = {"id": "idn_1", "email_address": address, "verification": {"status": "verified"}}
    user = {"id": "user_ada", "primary_email_address_id": "idn_1", "email_addresses": [item]}
    for profile in (profile_of_claims({"email": address, "email_verified": True}), profile_of_user(user)):
        assert "email" not in profile.values
        assert profile.unusable == ("email",)


@pytest.mark.parametrize(
    "address",
    ["ada@example.test", "ADA+1@ex-ample.test", "δοκιμή@παράδειγμα.δοκιμή", "雪@例え.テスト", "a@b"],
)
def test_address_of_any_script_is_stored(address: str) -> None:
    assert profile_of_claims({"email": address}).values == {"email": address}


@pytest.mark.parametrize("character", [*CONTROL, *BIDIRECTIONAL, *INVISIBLE, "\t", "\n"])
def test_hidden_character_is_replaced_where_a_text_is_shown(character: str) -> None:
    assert replace_hidden(f"Ada{character}King{character}") == "Ada\ufffdKing\ufffd"


@pytest.mark.parametrize("name", ["Ada King", "雪 結城", "می\u200cخو", "👩\u200d💻", "O'Neil-Ñandú"])
def test_names_of_any_script_are_shown_as_they_are(name: str) -> None:
    assert replace_hidden(name) == name
