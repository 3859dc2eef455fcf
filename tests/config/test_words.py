"""`.ci/words`, the check of `make check` that keeps out words that readers would have to translate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
ADVICE = 'Write it plainly: CONTRIBUTING.md, "Plain words", names the words to use instead.\n'


def check(folder: Path, *names: str) -> tuple[int, str, str]:
    """Run the check in a folder. Return the exit status, the output and the error output."""
    command = [sys.executable, str(PROJECT / ".ci" / "words"), *names]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Reject whoever is banned.", "whoever"),
        ("Nobody is linked.", "Nobody"),
        ("def test_somebody_is_found() -> None:", "somebody"),
        ("told_at = None", "told"),
        ("close what was mended", "mended"),
        ("a stand-in for Clerk", "stand-in"),
        ("the news of a deletion", "news"),
        ("buried: list[str]", "buried"),
    ],
)
def test_a_word_of_the_list_is_found(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"A plain line.\n{text}\n")

    assert check(tmp_path, "page.md") == (1, f"page.md:2: {word}\n", ADVICE)


@pytest.mark.parametrize("word", ["Give", "Tell", "Say"])
def test_a_docstring_that_starts_with_a_word_of_the_list_is_found(word: str, tmp_path: Path) -> None:
    source = f'"""Users."""\n\n\ndef get_user() -> None:\n    """{word} the user."""\n'
    (tmp_path / "users.py").write_text(source)

    found = f"users.py:4: a docstring that starts with {word}\n"
    assert check(tmp_path, "users.py") == (1, found, ADVICE)


@pytest.mark.parametrize(
    "text",
    [
        "Reject users that are banned.",
        "untold, recommended, newsletter, amendments, standing in line",
        'counts["mended"], `mended`, missing_here: 3, mended: 0',
        'pwd.getpwnam("nobody")',
        "<!-- words -->\n| told | notified |\n<!-- /words -->",
    ],
)
def test_plain_words_and_strings_of_the_contract_pass(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"{text}\n")

    assert check(tmp_path, "page.md") == (0, "", "")


def test_a_plain_docstring_passes(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text('"""Return the user. Tell apart by id."""\n')

    assert check(tmp_path, "users.py") == (0, "", "")


def test_without_arguments_the_files_of_the_repository_are_checked(tmp_path: Path) -> None:
    for name in ("tracked.md", "untracked.md"):
        (tmp_path / name).write_text("what it was told\n")
    for arguments in (["init", "--quiet"], ["add", "tracked.md"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)  # noqa: S607 - any git

    assert check(tmp_path) == (1, "tracked.md:1: told\n", ADVICE)


def test_make_check_runs_it() -> None:
    makefile = (PROJECT / "Makefile").read_text()

    assert "\t$(PYTHON) .ci/words\n" in makefile.partition("\ncheck:\n")[2].partition("\n\n")[0]
