"""The results as Markdown tables that are also readable on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.figures import Figure, Section, format_number

FIGURES_HEAD = ("goal", "what", "figure", "goal value", "")


def format_section(section: Section) -> str:
    """Return one section as text."""
    return "\n".join(_lines(section)) + "\n"


def format_results(sections: Sequence[Section], *, machine: Sequence[str]) -> str:
    """Return all sections as text, the goals first."""
    figures = [figure for section in sections for figure in section.figures]
    goals = Section(title="Goals", figures=figures)
    details = [replace(section, figures=()) for section in sections]
    lines = [
        *("# Results", "", "Written by `make bench`; README.md describes the method.", ""),
        *(f"- {line}" for line in machine),
        *("", "![p50 of the warm request](results.svg)", ""),
        *map(format_section, (goals, *details)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def summary(sections: Sequence[Section]) -> tuple[list[str], int]:
    """Return one line for each missed goal with a summary line, and the number of missed goals."""
    figures = [figure for section in sections for figure in section.figures]
    missed = [figure for figure in figures if not figure.is_reached]
    lines = [
        f"MISSED: {each.goal} {each.what}: {format_number(each.value)}, not {each.bound}" for each in missed
    ]
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
    result = "reached" if figure.is_reached else "MISSED"
    return (figure.goal, figure.what, format_number(figure.value), figure.bound, result)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    head, *rest = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    for cells in (head, ["-" * width for width in widths], *rest):
        yield f"| {' | '.join(cells)} |"
