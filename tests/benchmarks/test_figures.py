from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.chart import chart_of
from benchmarks.figures import Figure, Section
from benchmarks.machine import processor
from benchmarks.report import as_text, results_of, summary


def figure(value: float, *, at_most: float | None = None, at_least: float | None = None) -> Figure:
    return Figure(goal="P0", what="a figure", value=value, at_most=at_most, at_least=at_least)


@pytest.mark.parametrize(
    ("made", "met"),
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
def test_a_goal_is_met_at_its_bound_and_missed_beyond_it(made: Figure, *, met: bool) -> None:
    assert made.met is met


def test_a_bound_is_written_as_a_comparison() -> None:
    assert figure(1, at_most=0.7).bound == "<= 0.70"
    assert figure(1, at_least=30).bound == ">= 30"
    assert figure(1, at_least=200, at_most=200).bound == "= 200"


def test_the_summary_names_what_was_missed_and_counts_it() -> None:
    section = Section(title="Two", figures=[figure(1, at_most=2), figure(3, at_most=2)])

    lines, missed = summary([section])

    assert missed == 1
    assert lines == ["MISSED: P0 a figure: 3, not <= 2", "1 of 2 figures reach their goal."]


def test_a_section_is_a_table_whose_columns_stand_below_each_other() -> None:
    section = Section(title="People", head=("who", "us"), rows=[("ours", "7"), ("somebody else", "12345")])

    title, _, *table, _ = as_text(section).splitlines()

    assert title == "## People"
    assert [line.index("|", 1) for line in table] == [16] * 4
    assert table[-1] == "| somebody else | 12345 |"


def test_the_results_say_on_what_they_were_taken_and_every_goal_once() -> None:
    section = Section(title="One", figures=[figure(3, at_most=2)], notes=["Something is missing."])

    text = results_of([section], machine=["a machine"])

    assert "- a machine" in text
    assert text.count("a figure") == 1
    assert "MISSED" in text
    assert "Something is missing." in text


def test_the_chart_is_an_svg_with_a_bar_for_each_and_the_shortest_first() -> None:
    drawn = ET.fromstring(chart_of([("ours & co", 200.0), ("theirs", 100.0)], title="p50", unit="us"))  # noqa: S314 - ours

    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    bars = [
        float(element.attrib["width"])
        for element in drawn.iter("{http://www.w3.org/2000/svg}rect")
        if "x" in element.attrib
    ]
    assert texts == ["p50", "theirs", "100 us", "ours & co", "200 us"]
    assert bars[1] == pytest.approx(2 * bars[0], abs=1)


def test_the_processor_has_a_name() -> None:
    assert processor()
