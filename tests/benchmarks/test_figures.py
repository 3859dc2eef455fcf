from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import chart_of
from benchmarks.figures import Figure, Section
from benchmarks.machine import processor
from benchmarks.report import format_results, format_section, summary


def figure(value: float, *, at_most: float | None = None, at_least: float | None = None) -> Figure:
    return Figure(goal="P0", what="a figure", value=value, at_most=at_most, at_least=at_least)


@pytest.mark.parametrize(
    ("measured", "is_reached"),
    [
        (figure(0.70, at_most=0.70), True),
        (figure(0.71, at_most=0.70), False),
        (figure(1.25, at_least=1.25), True),
        (figure(1.24, at_least=1.25), False),
        (figure(200, at_least=200, at_most=200), True),
        (figure(199, at_least=200, at_most=200), False),
        (figure(201, at_least=200, at_most=200), False),
    ],
)
def test_a_goal_is_reached_at_its_bound_and_missed_beyond_it(measured: Figure, *, is_reached: bool) -> None:
    assert measured.is_reached is is_reached


def test_a_bound_is_written_as_a_comparison() -> None:
    assert figure(1, at_most=0.7).bound == "<= 0.70"
    assert figure(1, at_least=30).bound == ">= 30"
    assert figure(1, at_least=200, at_most=200).bound == "= 200"


def test_the_summary_names_and_counts_the_missed_goals() -> None:
    section = Section(title="Two", figures=[figure(1, at_most=2), figure(3, at_most=2)])

    lines, missed = summary([section])

    assert missed == 1
    assert lines == ["MISSED: P0 a figure: 3, not <= 2", "1 of 2 figures reach their goal."]


def test_a_section_is_a_table_with_aligned_columns() -> None:
    section = Section(title="Peers", head=("peer", "us"), rows=[("ours", "7"), ("another peer", "12345")])

    title, _, *table, _ = format_section(section).splitlines()

    assert title == "## Peers"
    assert [line.index("|", 1) for line in table] == [15] * 4
    assert table[-1] == "| another peer | 12345 |"


def test_the_results_name_the_machine_and_every_goal_once() -> None:
    section = Section(title="One", figures=[figure(3, at_most=2)], notes=["Something is missing."])

    text = format_results([section], machine=["a machine"])

    assert "- a machine" in text
    assert text.count("a figure") == 1
    assert "MISSED" in text
    assert "Something is missing." in text


def test_the_chart_is_an_svg_with_one_bar_per_value_and_the_shortest_first() -> None:
    drawn = ET.fromstring(chart_of([("ours & co", 200.0), ("another", 100.0)], title="p50", unit="us"))  # noqa: S314 - ours

    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    bars = [
        float(element.attrib["width"])
        for element in drawn.iter("{http://www.w3.org/2000/svg}rect")
        if "x" in element.attrib
    ]
    assert texts == ["p50", "another", "100 us", "ours & co", "200 us"]
    assert bars[1] == pytest.approx(2 * bars[0], abs=1)


def test_the_processor_has_a_name() -> None:
    assert processor()
