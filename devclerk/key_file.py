"""The keys of an instance in a file, for an emulator whose tokens stay valid over a restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from devclerk.run_folder import write_private

HeldKeys = Sequence[tuple[str, RSAPrivateKey]]


class KeysUnreadable(Exception):
    """The file holds no keys. The text is for the user of the command."""


def load_keys(path: Path) -> tuple[str, HeldKeys] | None:
    """Return the instance id and the keys with their ids, or None without a file. Raise `KeysUnreadable`."""
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text())
        return str(stored["instance_id"]), [(kid, _parse(pem)) for kid, pem in stored["keys"].items()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise KeysUnreadable(
            f"The keys in {path} cannot be read: delete the file, and the next start creates new ones."
        ) from None


def save_keys(path: Path, *, instance_id: str, keys: HeldKeys) -> None:
    """Replace the file. Raise `OSError`."""
    stored = {"instance_id": instance_id, "keys": {kid: _pem(key) for kid, key in keys}}
    write_private(path, json.dumps(stored, indent=2) + "\n")


def _parse(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError
    return key


def _pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
