"""What the wheel contains."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

from tests.wheel.staging import Staging

# A dotted path of ours that is not below `clerk_sync`.
BARE_PATH = re.compile(r"(?<![\w/.@-])(?:accounts|webhooks|health|devclerk)\.[a-z]\w+")


def read_metadata(staging: Staging) -> str:
    """Return the metadata with the long description."""
    archive = ZipFile(staging.wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    return archive.read(metadata).decode()


def test_the_only_top_level_package_is_clerk_sync(staging: Staging) -> None:
    names = ZipFile(staging.wheel).namelist()

    assert staging.wheel.name.endswith("-py3-none-any.whl")
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"clerk_sync"}
    assert {"clerk_sync/py.typed", "clerk_sync/devclerk/assets/client.js"} <= set(names)
    data = [name for name in names if "/templates/" in name or "/static/" in name]
    assert data
    assert all(name.split("/")[3] == "clerk_sync" for name in data)


def test_the_wheel_requires_no_database_driver(staging: Staging) -> None:
    required = [line for line in read_metadata(staging).splitlines() if line.startswith("Requires-Dist")]

    assert [line for line in required if "psycopg" in line] == [
        "Requires-Dist: psycopg[binary]>=3.2; extra == 'psycopg'"
    ]
    assert [line for line in required if "djangorestframework" in line or "drf-standardized-errors" in line]


def test_the_long_description_imports_what_is_installed(staging: Staging) -> None:
    _, _, description = read_metadata(staging).partition("\n\n")

    assert description.startswith("# Install it into your project")
    assert "clerk_sync.accounts.authentication.ClerkAuthentication" in description
    assert BARE_PATH.findall(description) == []


def test_every_module_that_a_reader_sees_is_below_clerk_sync(staging: Staging) -> None:
    package = staging.installed / "clerk_sync"
    modules = {str(path.relative_to(package).with_suffix("")) for path in package.rglob("*.py")}
    texts = {path: path.read_text() for suffix in ("py", "html") for path in package.rglob(f"*.{suffix}")}

    found = [(path, name) for path, text in texts.items() for name in BARE_PATH.findall(text)]

    assert "accounts/errors" in modules
    assert "`clerk_sync.accounts.errors.exception_handler`" in texts[package / "accounts/errors.py"]
    # The others are attributes of variables, such as webhooks.state.
    packages = {str(Path(name).parent) for name in modules}
    assert [each for each in found if each[1].replace(".", "/") in modules | packages] == []
