"""Run the shell blocks of the documents on a copy of the project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, blocks
from tests.docs.stage import Stage, staged

# tests/wheel runs the blocks of the installation in a fresh project.
SHELL = {path: blocks(path, language="sh") for path in DOCUMENTS if path.name != "install.md"}
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
