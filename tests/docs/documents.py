"""The documents, as the tests that hold them against the code read them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<excuse>[^>]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its place, its language, and the reason why it is not run, if there is one."""

    document: Path
    line: int
    language: str
    text: str
    excuse: str | None

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path, *, language: str) -> list[Block]:
    """Return the document's blocks of one language, in their order."""
    text = document.read_text()
    return [
        Block(
            document=document,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            text=textwrap.dedent(found["text"]),
            excuse=found["excuse"],
        )
        for found in FENCE.finditer(text)
        if found["language"] == language
    ]


def prose(document: Path) -> str:
    """Return the document without its blocks."""
    return FENCE.sub("", document.read_text())


def section(document: Path, title: str) -> str:
    """Return the text below a heading, up to the next heading of its rank or above; the title must exist."""
    text = document.read_text()
    (found,) = re.finditer(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    ending = re.search(rf"^#{{1,{len(found[1])}}} ", text[found.end() :], re.MULTILINE)
    return text[found.end() :][: ending.start() if ending else None]


def words(text: str, *, form: str) -> set[str]:
    """Return each text in code letters that matches this form as a whole."""
    return {word for word in re.findall(r"`([^`\n]+)`", text) if re.fullmatch(form, word)}


def first_cells(text: str) -> list[str]:
    """Return the first cell of each row of the tables in this text."""
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in text.splitlines() if line.startswith("|")]
    return [cell for cell in cells if cell and not set(cell) <= {"-", ":"}]


def rows_of_table(text: str) -> list[list[str]]:
    """Return the cells of each row of the tables in this text, without the lines below the headings."""
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    return [row for row in rows if row]
