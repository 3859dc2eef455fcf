"""The chart of docs/comparison.md: bars as plain SVG, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

WIDTH, LABELS, BAR, GAP, TOP = 760, 260, 22, 10, 56
OURS, OTHERS = "#2563eb", "#94a3b8"


def chart_of(bars: Sequence[tuple[str, float]], *, title: str, unit: str) -> str:
    """Draw the bars, the shortest first; the first of those given is ours and has a colour of its own."""
    ours = bars[0][0]
    ordered = sorted(bars, key=lambda bar: bar[1])
    height = TOP + len(bars) * (BAR + GAP) + GAP
    scale = (WIDTH - LABELS - 110) / ordered[-1][1]
    rows: list[str] = []
    for place, bar in enumerate(ordered):
        rows += _bar(place, bar, scale=scale, ours=ours, unit=unit)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            '<g font-family="system-ui, sans-serif" font-size="14" fill="#1e293b">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            f'<text x="20" y="34" font-size="16" font-weight="600">{escape(title)}</text>',
            *rows,
            "</g></svg>\n",
        ]
    )


def _bar(place: int, bar: tuple[str, float], *, scale: float, ours: str, unit: str) -> Iterator[str]:
    label, value = bar
    top = TOP + place * (BAR + GAP)
    middle = top + BAR * 0.7
    length = value * scale
    colour = OURS if label == ours else OTHERS
    weight = ' font-weight="600"' if label == ours else ""
    yield f'<text x="{LABELS - 12}" y="{middle:.0f}" text-anchor="end"{weight}>{escape(label)}</text>'
    yield f'<rect x="{LABELS}" y="{top}" width="{length:.0f}" height="{BAR}" rx="3" fill="{colour}"/>'
    yield f'<text x="{LABELS + length + 8:.0f}" y="{middle:.0f}"{weight}>{value:,.0f} {unit}</text>'
