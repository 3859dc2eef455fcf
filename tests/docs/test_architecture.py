"""docs/architecture.md: tables are what the code does; docs/decisions.md is numbered and dated."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from accounts.clerk.profiles import FIELDS, ClerkProfile, Source
from accounts.merge import merge
from accounts.models import DeletedBy
from accounts.sync import UserDeleted, decide, delete_locally, delete_user, get_rows, restore_user, sync_user
from tests.docs.documents import ROOT, blocks, rows_of_table, section, words

ARCHITECTURE, DECISIONS = ROOT / "docs/architecture.md", ROOT / "docs/decisions.md"
CLERK_ID = "user_2ArchitectureExample"
TABLE = [row for row in rows_of_table(section(ARCHITECTURE, "The rows of one Clerk id")) if row[0] != "state"]
STATES = ("no row", "live", "deleted locally", "deleted in Clerk", "restored")
EVENTS = ("session token", "webhook or page", "deletion in Clerk")
CREATED, DELETED, RESTORED, LATER = 1_000_000, 2_000_000, 3_000_000, 4_000_000

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
# Whether there is a live row, and who deleted the other rows.
ROWS: dict[str, tuple[bool, tuple[str, ...]]] = {
    "a live row": (True, ("clerk",)),
    "no row": (False, ()),
    "only rows that were deleted locally": (False, ("local", "local")),
    "no live row, and one that was deleted in Clerk": (False, ("local", "clerk")),
}


def layers(name: str) -> list[set[str]]:
    """Return the layers of the import contract whose name starts like this, the highest first."""
    (contract,) = [contract for contract in CONTRACTS if contract["name"].startswith(name)]
    return [set(layer.split(" | ")) for layer in contract["layers"]]


def test_each_package_may_import_what_its_contract_allows() -> None:
    table = section(ARCHITECTURE, "Packages").partition("###")[0]
    shown = {row[0].strip("`"): words(row[2], form=r"[a-z]+") for row in rows_of_table(table)[1:]}
    order = layers("Packages:")
    allowed = {
        package: set().union(*order[number + 1 :]) for number, layer in enumerate(order) for package in layer
    }

    # A clone may add layers of its own.
    known = {package: names & shown.keys() for package, names in allowed.items() if package in shown}
    assert shown == known | {"devclerk": set(), "examples/nextjs": set()}


def test_the_layers_of_accounts_are_those_of_the_contract() -> None:
    rows = [row for row in rows_of_table(section(ARCHITECTURE, "Inside accounts")) if row[0].isdigit()]

    assert [words(row[1], form=r"[a-z_]+") for row in rows] == layers("Inside accounts every")
    assert [int(row[0]) for row in rows] == list(range(len(rows), 0, -1))


@pytest.mark.parametrize("rows", ROWS)
def test_the_decision_about_a_row_is_the_one_that_is_shown(rows: str) -> None:
    table = rows_of_table(section(ARCHITECTURE, "2. A first request, or changed claims"))
    (shown,) = [row[1:] for row in table if row[0] == rows]
    is_live, deleted_by = ROWS[rows]

    for sources, decision in zip(((Source.CLAIMS,), (Source.WEBHOOK, Source.API)), shown, strict=True):
        for source in sources:
            assert decide(is_live=is_live, deleted_by=deleted_by, source=source).name == decision.upper()


def profile(source: Source, *, at: int, first_name: str) -> ClerkProfile:
    return ClerkProfile(clerk_id=CLERK_ID, source=source, at=at, values={"first_name": first_name})


def live() -> None:
    sync_user(profile(Source.CLAIMS, at=CREATED, first_name="Ada"))


def deleted_locally() -> None:
    live()
    delete_locally(get_rows(CLERK_ID)[0])


def deleted_in_clerk() -> None:
    live()
    delete_user(CLERK_ID, at=DELETED)


def restored() -> None:
    deleted_in_clerk()
    restore()


def live_beside_a_restored_row() -> None:
    restored()
    delete_locally(get_rows(CLERK_ID)[0])
    live()


def restore() -> str:
    restore_user(get_rows(CLERK_ID)[0], at=RESTORED)
    return "-"


def session_token() -> str:
    try:
        return sync_user(profile(Source.CLAIMS, at=LATER, first_name="Grace")).outcome
    except UserDeleted:
        return "user_deleted"


BUILD: dict[str, Callable[[], Any]] = {
    "no row": lambda: None,
    "live": live,
    "live, with an older row that was restored": live_beside_a_restored_row,
    "deleted locally": deleted_locally,
    "deleted in Clerk": deleted_in_clerk,
    "restored": restored,
}
CAUSE: dict[str, Callable[[], str]] = {
    "session token": session_token,
    "webhook or page": lambda: sync_user(profile(Source.WEBHOOK, at=LATER, first_name="Grace")).outcome,
    "deletion in Clerk": lambda: delete_user(CLERK_ID, at=LATER),
    "older deletion in Clerk": lambda: delete_user(CLERK_ID, at=DELETED),
    "Delete locally": lambda: delete_locally(get_rows(CLERK_ID)[0]),
    "Restore": restore,
}


def state() -> str:
    rows = get_rows(CLERK_ID)
    if not rows:
        return "no row"
    alive = [row for row in rows if row.deleted_at is None]
    if alive:
        return "live" if alive[0].restored_at is None else "restored"
    by_clerk = any(row.deleted_by == DeletedBy.CLERK for row in rows)
    return "deleted in Clerk" if by_clerk else "deleted locally"


def stored_rows() -> dict[Any, dict[str, Any]]:
    """Return the columns of each row of the Clerk id, by primary key."""
    return {
        row.pk: {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        for row in get_rows(CLERK_ID)
    }


def written_row(before: dict[Any, dict[str, Any]]) -> str:
    """Return whether the event has written a new row, this row or none."""
    after = stored_rows()
    if after.keys() != before.keys():
        return "new"
    return "-" if after == before else "this"


@pytest.mark.django_db
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}, {row[1]}")
def test_each_event_leads_to_the_state_that_is_shown(row: list[str]) -> None:
    before, event, after, outcome, written = row
    BUILD[before]()
    assert state() == before.partition(",")[0]
    stored = stored_rows()

    assert CAUSE[event]() == outcome.strip("`")

    assert state() == after
    assert written_row(stored) == written


def test_the_table_has_each_event_of_each_state() -> None:
    shown = {(row[0], row[1]) for row in TABLE}

    assert {(before, event) for before in STATES for event in EVENTS} <= shown
    assert {row[0].partition(",")[0] for row in TABLE} == set(STATES)


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def test_the_versions_of_a_field_are_those_that_the_merge_writes() -> None:
    (timeline,) = [block.text for block in blocks(ARCHITECTURE, language="text") if "arrives" in block.text]
    values: dict[str, Any] = dict.fromkeys(FIELDS, "") | {
        "email": None,
        "email_verified": False,
        "banned": False,
    }
    versions: dict[str, tuple[int, int]] = {}
    lines = re.findall(r"^ ?\d+  .*$", timeline, re.MULTILINE)
    assert len(lines) == 10
    for line in lines:
        arrives, as_of, true_until, value, stored, version, _ = (
            cell.strip() for cell in line.replace("||", "|").split("|")
        )
        arrived = ClerkProfile(
            clerk_id=CLERK_ID,
            source=Source[arrives.split()[1].upper()],
            at=milliseconds(as_of),
            values={"first_name": value},
            true_until=milliseconds(true_until) if true_until else None,
        )
        merged = merge(values, versions, arrived)
        values |= merged.values
        versions = dict(merged.versions or versions)

        time, source = version.split()
        assert values["first_name"] == stored, line
        assert versions["first_name"] == (milliseconds(time), Source[source.upper()]), line


def test_the_decisions_are_numbered_and_dated() -> None:
    headings = re.findall(r"^## (.+)$", DECISIONS.read_text(), re.MULTILINE)
    numbers = [re.fullmatch(r"D(\d+)\. .+ \(\d{4}-\d{2}-\d{2}\)", heading) for heading in headings]

    assert [number and int(number[1]) for number in numbers] == list(range(1, len(headings) + 1))
    assert headings
