"""What the documents name is there."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands

from accounts.conf import DEFAULTS
from api.serializers import SessionSerializer
from tests.docs.documents import DOCUMENTS, ROOT, prose, words
from tests.docs.names import PACKAGES, error_codes, health_codes, variables
from tests.proof.__main__ import PROOFS
from webhooks.handlers import EFFECTS

RELIABILITY = ROOT / "docs/RELIABILITY.md"
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def slug(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@every_document
def test_each_setting_that_is_named_is_one(document: Path) -> None:
    own = re.findall(r"\b(?:CLERK|HEALTH|DJANGO|CORS|DATABASE|PROMETHEUS)_[A-Z_]+\b", document.read_text())
    known = variables() | set(DEFAULTS) | {"CLERK_IDENTITY_MODEL"}
    # Of Django, of `make run`, of sync_user, and of Clerk's package for Next.js
    known |= {"DJANGO_SETTINGS_MODULE", "CLERK_PORT", "CLERK_NODE_MODULES", "CLERK_ID", "CLERK_FAPI_URL"}

    assert {name.removesuffix("_FILE") for name in own} <= known


@every_document
def test_each_error_code_that_is_named_is_one(document: Path) -> None:
    form = r"(?:token|keys|session|impersonation|user)_[a-z_]+"
    others = health_codes() | {"user_synced", "token_claims"}
    others |= {"user_permissions", "session_key", "session_data"}  # columns of Django
    others |= set(SessionSerializer().fields)

    assert words(prose(document), form=form) - others <= error_codes()


@every_document
def test_each_command_that_is_named_is_one(document: Path) -> None:
    assert set(re.findall(r"manage\.py (\w+)", document.read_text())) <= {*get_commands(), "X"}


@every_document
def test_each_target_of_make_is_one(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text()

    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


@every_document
def test_each_event_that_is_named_is_handled(document: Path) -> None:
    assert words(prose(document), form=r"user\.\w+") <= set(EFFECTS)


@every_document
def test_each_link_leads_somewhere(document: Path) -> None:
    text = prose(document)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), link


@every_document
def test_no_link_leads_to_a_package_index(document: Path) -> None:
    assert re.findall(r"https://(?:pypi\.org|www\.npmjs\.com)\S*", document.read_text()) == []


@every_document
def test_each_reference_has_its_address(document: Path) -> None:
    text = prose(document)
    addresses = re.findall(r"^\[(\w+)\]: https://", text, re.MULTILINE)

    assert set(re.findall(r"\]\[(\w+)\]", text)) == set(addresses)


@every_document
def test_each_file_that_is_named_is_there(document: Path) -> None:
    folders = "|".join((*PACKAGES, "tests", "docs", "clients", "benchmarks", "deploy"))
    named_files = words(prose(document), form=rf"(?:{folders})/[\w./-]*|[\w-]+\.(?:toml|lock|md)")

    assert [name for name in sorted(named_files) if not (ROOT / name).exists()] == []


@every_document
def test_each_test_that_is_named_is_there(document: Path) -> None:
    named_tests = re.findall(r"`(tests/[\w./]+\.py)`: ((?:`test_\w+`(?:, )?)+)", document.read_text())
    assert len(named_tests) == len(re.findall(r"\.py`: `test_", document.read_text()))

    for file, names in named_tests:
        written = set(re.findall(r"^def (test_\w+)", (ROOT / file).read_text(), re.MULTILINE))
        assert set(re.findall(r"test_\w+", names)) <= written, file


def test_each_proof_that_is_named_is_one() -> None:
    named_proofs = re.findall(r"\| `(\w+\.\w+)\.\.\.`", RELIABILITY.read_text())

    assert named_proofs
    assert [name for name in named_proofs if not any(proof.name.startswith(name) for proof in PROOFS)] == []


@every_document
def test_each_name_of_the_code_is_there(document: Path) -> None:
    form = rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+"
    for name in sorted(word for word in words(prose(document), form=form) if not word.endswith(".py")):
        if re.fullmatch(r"[a-z]+\.[A-Z]\w+", name):
            apps.get_model(name)
        else:
            look_up(name)


def look_up(name: str) -> object:
    """Return the module, class, function or method of this name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    versions = re.findall(r"^## \[([0-9.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert versions[0] == version
