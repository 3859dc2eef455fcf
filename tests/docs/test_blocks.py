"""Run the shell blocks of the documents on a copy of the project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, blocks
from tests.docs.stage import Stage, staged

SHELL = {path: blocks(path, language="sh") for path in DOCUMENTS}
RUNNABLE = [path for path, found in SHELL.items() if any(block.excuse is None for block in found)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.mark.parametrize("document", RUNNABLE, ids=lambda path: path.name)
def test_every_shell_block_runs(document: Path, stage: Stage) -> None:
    for block in SHELL[document]:
        if block.excuse is None:
            done = stage.run(block.text)
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_the_answer_shown_is_the_answer(stage: Stage) -> None:
    (curl,) = [block for block in SHELL[ROOT / "README.md"] if block.text.startswith("curl")]
    shown = blocks(ROOT / "README.md", language="json")[0].text

    answer = json.loads(stage.run(f"{curl.text.strip()} --silent").stdout)

    names = [part.partition(":")[0].strip('{"') for part in shown.split(",")[:-1]]
    assert names == list(answer)[: len(names)]
    assert answer["email"] in shown


def test_the_tests_shown_pass(stage: Stage) -> None:
    first, *shown = blocks(ROOT / "docs/testing-your-app.md", language="python")
    assert first.text.strip() in (ROOT / "tests/conftest.py").read_text()
    folder = stage.tree / "tests/shown"
    folder.mkdir()
    for number, block in enumerate(shown):
        (folder / f"test_{number}.py").write_text(block.text)

    done = stage.run(".venv/bin/python -m pytest tests/shown -q -p no:cacheprovider")

    assert done.returncode == 0, done.stdout
    assert f"{sum(block.text.count('def test_') for block in shown)} passed" in done.stdout


def test_users_of_another_project_become_those_of_clerk(stage: Stage) -> None:
    bring, rewrite, _ = blocks(ROOT / "docs/adopting.md", language="python")
    names = {7: "joan", 8: "kurt"}
    users = [{"model": "auth.user", "pk": pk, "fields": old_user(name)} for pk, name in names.items()]
    notes = [{"model": "notes.note", "pk": 1, "fields": {"text": "mine", "owner": 7}}]
    (stage.tree / "users.json").write_text(json.dumps(users))
    (stage.tree / "notes.json").write_text(json.dumps(notes))
    (stage.tree / "bring.py").write_text(bring.text)
    (stage.tree / "rewrite.py").write_text(rewrite.text)

    done = stage.run(". .run/env; .venv/bin/python manage.py shell <bring.py; .venv/bin/python rewrite.py")
    assert done.returncode == 0, done.stderr
    keys = json.loads((stage.tree / "keys.json").read_text())
    # Joan has her key in Clerk, Kurt is known by his address; no webhook may come before they are linked.
    done = stage.run(f"""
        . .run/env
        manage() {{ .venv/bin/python manage.py "$@"; }}
        manage devclerk create joan --external-id {keys["7"]} --email joan@clerk.test --verified --drop
        manage devclerk create kurt --email kurt@example.test --verified --drop
        manage link_users
        manage link_users --apply
    """)

    assert json.loads((stage.tree / "notes.json").read_text())[0]["fields"]["owner"] == keys["7"]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "by_external_id: 1, by_verified_email: 1" in done.stdout


def old_user(name: str) -> dict[str, object]:
    """Return the fields of Django's own user as `dumpdata` writes them."""
    return {
        "password": "pbkdf2_sha256$1$salt$hash",
        "last_login": None,
        "is_superuser": False,
        "username": name,
        "first_name": name.title(),
        "last_name": "",
        "email": f"{name}@example.test",
        "is_staff": False,
        "is_active": True,
        "date_joined": "2020-01-02T03:04:05.678Z",
        "groups": [],
        "user_permissions": [],
    }
