"""What people read: tables that are plain on a terminal and Markdown in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.figures import Figure, Section, number

FIGURES_HEAD = ("goal", "what", "figure", "has to be", "")


def as_text(section: Section) -> str:
    """Write one section."""
    return "\n".join(_lines(section)) + "\n"


def results_of(sections: Sequence[Section], *, machine: Sequence[str]) -> str:
    """Write everything, the goals first."""
    figures = [figure for section in sections for figure in section.figures]
    goals = Section(title="Goals", figures=figures)
    details = [replace(section, figures=()) for section in sections]
    lines = [
        *("# Results", "", "Written by `make bench`; README.md says how it measures.", ""),
        *(f"- {line}" for line in machine),
        *("", "![p50 of the warm request](results.svg)", ""),
        *map(as_text, (goals, *details)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def summary(sections: Sequence[Section]) -> tuple[list[str], int]:
    """Name each goal that was missed, and say how many were."""
    figures = [figure for section in sections for figure in section.figures]
    missed = [figure for figure in figures if not figure.met]
    lines = [f"MISSED: {each.goal} {each.what}: {number(each.value)}, not {each.bound}" for each in missed]
    return [*lines, f"{len(figures) - len(missed)} of {len(figures)} figures reach their goal."], len(missed)


def _lines(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    if section.figures:
        yield from _table([FIGURES_HEAD, *map(_figure, section.figures)])
        yield ""
    if section.rows:
        yield from _table([section.head, *section.rows])
        yield ""
    for note in section.notes:
        yield note
        yield ""


def _figure(figure: Figure) -> tuple[str, ...]:
    verdict = "reached" if figure.met else "MISSED"
    return (figure.goal, figure.what, number(figure.value), figure.bound, verdict)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    head, *rest = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    for cells in (head, ["-" * width for width in widths], *rest):
        yield f"| {' | '.join(cells)} |"
