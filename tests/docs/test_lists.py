"""What the documents list is all there is: settings, codes, commands, metrics, events and figures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.urls import resolve
from django.utils import timezone

from accounts.bulk.drift import DriftReport
from accounts.bulk.linking import Verdict
from accounts.clerk.fields import COLUMNS
from accounts.conf import DEFAULTS
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from devclerk.users import seeded_users
from health import metrics
from health.report.build import build_report
from tests.docs.documents import ROOT, blocks, first_cells, prose, section, words
from tests.docs.names import PACKAGES, error_codes, health_codes, named, variables
from webhooks.handlers import EFFECTS

OPERATIONS, REFERENCE = ROOT / "docs/operations.md", ROOT / "docs/reference.md"
INSTALL, TESTING = ROOT / "docs/install.md", ROOT / "docs/testing-your-app.md"
SETUP, COMPARISON = ROOT / "docs/clerk-setup.md", ROOT / "docs/comparison.md"
CODE = r"[a-z_0-9]+"


def our_commands() -> set[str]:
    return {name for name, app in get_commands().items() if app in PACKAGES}


def test_the_settings_listed_are_those_that_are_read() -> None:
    listed = words(section(REFERENCE, "Settings"), form=r"[A-Z]+(_[A-Z]+)+")
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert listed == variables()
    assert example == variables()


def test_the_settings_of_other_projects_are_those_with_a_default() -> None:
    listed = {cell.strip("`") for cell in first_cells(section(REFERENCE, "A project with users of its own"))}

    # The identity model is read by Django itself, and the problems of the environment are no setting.
    assert listed - {"setting", "CLERK_IDENTITY_MODEL"} == set(DEFAULTS) - variables() - {"ENV_PROBLEMS"}


def test_the_error_codes_listed_are_those_that_are_answered() -> None:
    rows = [line for line in section(REFERENCE, "Errors").splitlines() if line.startswith("|")]

    # `invalid` and its like are made by REST framework itself.
    assert words("\n".join(rows), form=CODE) - {"invalid"} == error_codes()


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


def test_the_setup_names_every_event_and_every_claim() -> None:
    claims = [json.loads(block.text) for block in blocks(SETUP, language="json") if "{{" in block.text]

    assert words(prose(SETUP), form=r"user\.\w+") == set(EFFECTS)
    assert claims == [{name: field.shortcode for name, field in COLUMNS.items() if field.claims}]


def test_the_endpoints_listed_are_routed() -> None:
    listed = words("\n".join(first_cells(section(REFERENCE, "Endpoints"))), form=r"(?:[A-Z]+ )?/\S+")
    for words_of_it in listed:
        path = words_of_it.rpartition(" ")[2].replace("{id}", "9cab1d33-2b8a-4ac1-8c59-40c8c1d4a1d5")
        assert resolve(path).func.__name__ != "not_found", path


def test_each_health_answer_is_explained_and_nothing_else() -> None:
    listed = words("\n".join(first_cells(section(OPERATIONS, "Each health answer"))), form=CODE)

    assert listed - {"code"} == health_codes()


@pytest.mark.django_db
def test_the_keys_of_the_json_documents_are_listed() -> None:
    text = section(OPERATIONS, "The JSON of report and reconciliation")
    report, drift = build_report(now=timezone.now()).as_dict(), DriftReport().as_json()

    assert words("\n".join(first_cells(text)), form=CODE) == {*report, *drift}
    assert {key for document in (report, drift) for key in iter_keys(document)} <= words(text, form=CODE)


def iter_keys(document: dict[str, Any]) -> Iterator[str]:
    """Yield the keys of an object and of the objects in it."""
    for key, value in document.items():
        yield key
        if isinstance(value, dict):
            yield from iter_keys(value)


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
    listed = words("\n".join(first_cells(section(INSTALL, "What `link_users` decides"))), form=CODE)

    assert listed == set(Verdict)


def test_what_the_fixtures_can_do_is_listed() -> None:
    table = section(TESTING, "The fixtures")
    listed = set(re.findall(r"\b([a-z_]+)\(", table)) | words(table, form=CODE)
    methods = {name for name in vars(LocalClerk) if not name.startswith("_")} | {"emulator"}

    assert methods - {"kid", "pem"} <= listed
    assert set(map(str, Fault)) <= listed
    assert (len(seeded_users()), "nine seeded users" in table) == (9, True)


def read_rows(text: str) -> list[list[str]]:
    """Return the cells of every line of a table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if "|" in line]


def test_the_figures_of_the_comparison_are_those_that_were_measured() -> None:
    in_process, over_http = (
        {cells[0]: cells for cells in read_rows(section(ROOT / "benchmarks/results.md", title))}
        for title in (
            "Warm authenticated request, in process",
            "Over HTTP: gunicorn, one worker with threads, 4 connections kept alive",
        )
    )
    (shown,) = re.findall(r"<!-- benchmark -->(.*?)<!-- /benchmark -->", COMPARISON.read_text(), re.DOTALL)
    table = [row for row in read_rows(shown) if row[1].endswith(" µs")]

    assert len(table) >= 6
    for contender, median, ratio, per_second in table:
        assert [median, ratio] == [f"{in_process[contender][1]} µs", in_process[contender][3]]
        assert per_second == over_http[contender][1]
