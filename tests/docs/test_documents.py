"""What the documents name is there, and what they list is all there is."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.urls import resolve

from accounts.bulk.linking import Verdict
from accounts.clerk.outgoing import USER_AGENT
from accounts.conf import DEFAULTS
from api.schema import ERRORS
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from devclerk.users import seeded_users
from health import metrics
from health.doctor.token import SHORTCODES
from health.report import reasons
from tests.docs.documents import DOCUMENTS, ROOT, blocks, first_cells, prose, section, words
from tests.proof.__main__ import PROOFS
from webhooks.handlers import EFFECTS
from webhooks.views import REFUSALS

README, OPERATIONS = ROOT / "README.md", ROOT / "docs/operations.md"
REFERENCE, COMPARISON = ROOT / "docs/reference.md", ROOT / "docs/comparison.md"
ADOPTING, TESTING = ROOT / "docs/adopting.md", ROOT / "docs/testing-your-app.md"
SETUP, RELIABILITY = ROOT / "docs/clerk-setup.md", ROOT / "docs/RELIABILITY.md"
PACKAGES = ("accounts", "api", "config", "devclerk", "health", "webhooks")
CODE = r"[a-z_0-9]+"
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def named(pattern: str, *files: str) -> set[str]:
    """Return what a pattern finds in files of the code; an empty result is an error of the pattern."""
    found = {word for name in files for word in re.findall(pattern, (ROOT / name).read_text())}
    assert found, pattern
    return found


def variables() -> set[str]:
    """Return the name of every variable that the settings read from the environment."""
    return named(r'\benv\.(?!reject)\w+\(\s*"([A-Z_]+)"', "config/settings.py")


def error_codes() -> set[str]:
    """Return every code that the API and the webhook address answer with."""
    return (
        named(r'InvalidToken\(\s*"(\w+)"', "accounts/clerk/jws.py", "accounts/clerk/tokens.py")
        | named(r'(?:SignIn\w+|UserInactive|UnknownKey)\("(\w+)"', "accounts/sign_in.py")
        | named(r'(?:code|default_code) = "(\w+)"', "accounts/permissions.py")
        | {code for _, code, _ in ERRORS}
        | {refusal.code for refusal in REFUSALS.values()}
    )


def our_commands() -> set[str]:
    return {name for name, app in get_commands().items() if app in PACKAGES}


def health_codes() -> set[str]:
    return named(r'code="(\w+)"', "health/report/reasons.py") | set(reasons.NEXT_STEPS) | {"unexpected_error"}


def slug(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_the_settings_listed_are_those_that_are_read() -> None:
    listed = words(section(REFERENCE, "Settings"), form=r"[A-Z]+(_[A-Z]+)+")
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert listed == variables()
    assert example == variables()


def test_the_settings_of_other_projects_are_those_with_a_default() -> None:
    listed = {cell.strip("`") for cell in first_cells(section(REFERENCE, "A project with users of its own"))}

    # The identity model is read by Django itself, and the problems of the environment are no setting.
    assert listed - {"setting", "CLERK_IDENTITY_MODEL"} == set(DEFAULTS) - variables() - {"ENV_PROBLEMS"}


@every_document
def test_each_setting_that_is_named_is_one(document: Path) -> None:
    own = re.findall(r"\b(?:CLERK|HEALTH|DJANGO|CORS|DATABASE|PROMETHEUS)_[A-Z_]+\b", document.read_text())
    known = variables() | set(DEFAULTS) | {"CLERK_IDENTITY_MODEL"}
    # Of Django, of `make run`, of sync_user, and of Clerk's package for Next.js
    known |= {"DJANGO_SETTINGS_MODULE", "CLERK_PORT", "CLERK_NODE_MODULES", "CLERK_ID", "CLERK_FAPI_URL"}

    assert {name.removesuffix("_FILE") for name in own} <= known


def test_the_error_codes_listed_are_those_that_are_answered() -> None:
    rows = [line for line in section(REFERENCE, "Errors").splitlines() if line.startswith("|")]

    # `invalid` and its like are made by REST framework itself.
    assert words("\n".join(rows), form=CODE) - {"invalid"} == error_codes()


@every_document
def test_each_error_code_that_is_named_is_one(document: Path) -> None:
    form = r"(?:token|keys|session|impersonation|user)_[a-z_]+"
    others = health_codes() | {"user_synced", "token_claims"}

    assert words(prose(document), form=form) - others <= error_codes()


def test_the_commands_listed_are_all_there_are() -> None:
    listed = {cell.strip("`").split()[0] for cell in first_cells(section(REFERENCE, "Commands"))}

    assert listed - {"command"} == our_commands()


def test_the_options_of_the_commands_are_all_there_are() -> None:
    for cell in first_cells(section(REFERENCE, "Commands")):
        name = cell.strip("`").split()[0]
        if name in {"command", "devclerk"}:
            continue
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        common = load_command_class("django.core", "migrate").create_parser("manage.py", "migrate")
        options = {option for action in parser._actions for option in action.option_strings}
        options -= {option for action in common._actions for option in action.option_strings}
        assert set(re.findall(r"--[a-z-]+", cell)) == options - {"--json"}, name


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


def test_the_setup_names_every_event_and_every_claim() -> None:
    claims = [json.loads(block.text) for block in blocks(SETUP, language="json") if "{{" in block.text]

    assert words(prose(SETUP), form=r"user\.\w+") == set(EFFECTS)
    assert claims == [SHORTCODES]


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


def test_the_endpoints_listed_are_routed() -> None:
    listed = words("\n".join(first_cells(section(REFERENCE, "Endpoints"))), form=r"(?:[A-Z]+ )?/\S+")
    for words_of_it in listed:
        path = words_of_it.rpartition(" ")[2].replace("{id}", "9cab1d33-2b8a-4ac1-8c59-40c8c1d4a1d5")
        assert resolve(path).func.__name__ != "not_found", path


def test_each_health_answer_is_explained_and_nothing_else() -> None:
    listed = words("\n".join(first_cells(section(OPERATIONS, "Each health answer"))), form=CODE)

    assert listed - {"code"} == health_codes()


def test_each_word_of_readiness_is_explained() -> None:
    raised = named(r'NotReady\("(\w+)"\)', "health/checks.py")

    assert words("\n".join(first_cells(section(OPERATIONS, "Probes"))), form=CODE) == raised


def test_the_series_listed_are_those_that_are_exposed() -> None:
    named_series = words(section(OPERATIONS, "Metrics"), form=r"clerk_\w+(\{[\w,]+\})?")
    listed = {word.partition("{")[0] for word in named_series}
    kinds = {"Counter": "_total"}
    exposed = {
        series._name + kinds.get(type(series).__name__, "")
        for series in vars(metrics).values()
        if type(series).__name__ in {"Counter", "Gauge", "Histogram"} and hasattr(series, "_name")
    }

    assert listed == exposed


def test_every_decision_about_a_link_is_explained() -> None:
    listed = words("\n".join(first_cells(section(ADOPTING, "What `link_users` decides"))), form=CODE)

    assert listed == set(Verdict)


def test_what_the_fixtures_can_do_is_listed() -> None:
    table = section(TESTING, "The fixtures")
    listed = set(re.findall(r"\b([a-z_]+)\(", table)) | words(table, form=CODE)
    methods = {name for name in vars(LocalClerk) if not name.startswith("_")} | {"emulator"}

    assert methods - {"kid", "pem"} <= listed
    assert set(map(str, Fault)) <= listed
    assert (len(seeded_users()), "nine seeded users" in table) == (9, True)


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    versions = re.findall(r"^## \[([0-9.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert versions[0] == version


def test_the_user_agent_names_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"{project['name']}/{project['version']}" == USER_AGENT


def read_rows(text: str) -> list[list[str]]:
    """Return the cells of every line of a table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if "|" in line]


def test_the_figures_of_the_comparison_are_those_that_were_measured() -> None:
    results = read_rows((ROOT / "benchmarks/results.md").read_text())
    (shown,) = re.findall(r"<!-- benchmark -->(.*?)<!-- /benchmark -->", COMPARISON.read_text(), re.DOTALL)
    table = [row for row in read_rows(shown) if row[1].endswith(" µs")]

    assert len(table) >= 6
    for contender, median, ratio, per_second in table:
        in_process, over_http = (row for row in results if row[0] == contender)
        assert [median, ratio, per_second] == [f"{in_process[1]} µs", in_process[3], over_http[1]]
