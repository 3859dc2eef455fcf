"""The app that docs/your-own-clone.md shows, with other names: a clone may have that of the page."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.documents import ROOT, blocks, section

PAGE = ROOT / "docs" / "your-own-clone.md"
# Of the same length.
NAMES = {"notes": "memos", "Note": "Memo", "note": "memo"}
# Where the two lines outside the folders of the app belong: the end of a list, and the start of one.
PLACES = {
    "config/settings.py": r"^INSTALLED_APPS = \[\n(?:    .*\n)+(?=\]$)",
    "config/urls.py": r"^urlpatterns.* = \[\n",
}


def write_app(clone: Path) -> None:
    """Write the files of the app, which are in two folders of its own."""
    files = [text.removeprefix("# ").split("\n", 1) for text in shown("python")]
    assert {Path(name).parent.name for name, _ in files} == {"memos"}
    empty = [(f"{folder}/__init__.py", "") for folder in ("memos", "memos/migrations", "tests/memos")]
    for name, text in [*files, *empty]:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)


def add_lines(clone: Path) -> None:
    """Add the two lines outside the folders of the app."""
    rows = re.findall(r"^\| `(config/\w+\.py)` \| `([^`]+)`", section(PAGE, "Add an app"), re.MULTILINE)
    assert {file for file, _ in rows} == PLACES.keys()
    for file, line in rows:
        text = (clone / file).read_text()
        (place,) = re.finditer(PLACES[file], text, re.MULTILINE)
        (clone / file).write_text(f"{text[: place.end()]}    {renamed(line)}\n{text[place.end() :]}")


def shown(language: str) -> list[str]:
    """Return the blocks of the page, for another app."""
    return [renamed(block.text) for block in blocks(PAGE, language=language)]


def renamed(text: str) -> str:
    """Return a text of the page for another app."""
    for name, other in NAMES.items():
        text = text.replace(name, other)
    return text
