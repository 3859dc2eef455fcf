"""The file that keeps the keys of an instance."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from devclerk.emulator import Emulator
from devclerk.key_file import KeysUnreadable
from devclerk.tokens import Keyring

ISSUER = "http://127.0.0.1:8001"


def verify(token: str, keyring: Keyring) -> None:
    """Verify with another implementation and the public keys. Raise for a token of another instance."""
    key = jwt.PyJWKSet.from_dict(keyring.jwks())[jwt.get_unverified_header(token)["kid"]]
    jwt.decode(token, key.key, algorithms=["RS256"], issuer=ISSUER, options={"verify_aud": False})


def test_a_token_is_valid_with_the_keys_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first = Keyring(file=file)
    token = first.mint("user_2new", issuer=ISSUER, azp=None)

    again = Keyring(file=file)

    verify(token, again)
    assert again.jwks() == first.jwks()
    assert again.instance_id == first.instance_id


@pytest.mark.parametrize("keep_old", [True, False])
def test_rotations_are_kept_and_the_instance_stays_the_same(tmp_path: Path, *, keep_old: bool) -> None:
    first = Emulator(keys_file=tmp_path / "keys.json")
    first.keyring.rotate(keep_old=keep_old)

    again = Emulator(keys_file=tmp_path / "keys.json")

    assert again.keyring.jwks() == first.keyring.jwks()
    assert again.keyring.kid == first.keyring.kid
    assert len(again.keyring.jwks()["keys"]) == (2 if keep_old else 1)
    assert again.instance_id == first.instance_id
    for emulator in (first, again):
        emulator.close()


def test_without_a_file_each_instance_has_its_own_keys() -> None:
    assert Keyring().jwks() != Keyring().jwks()


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"instance_id": "ins_1", "keys": {"ins_1": "no PEM"}}', "\udcff"]
)
def test_a_file_without_keys_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(KeysUnreadable, match=r"keys\.json cannot be read: delete the file"):
        Keyring(file=file)
    assert file.read_bytes() == text.encode(errors="surrogateescape")
