"""The ratios as a chart: in characters, and as SVG. Bars are logarithmic, nginx is 1."""

import math
from html import escape

from benchmarks.results import Results
from benchmarks.table import LARGE, SMALL, ratio, shown

GROUPS = (
    ("CPU per call, 1 kB", SMALL, "cpu_us"),
    ("CPU per call, 80 kB with 25 tools", LARGE, "cpu_us"),
    ("CPU per call at 200 calls/s", "open 200", "cpu_us"),
    ("CPU per streamed chunk, 50 streams", "streams 50", "event_us"),
)
COLOURS = {"nginx": "#7a7a7a", "Tidegate": "#0b7285", "LiteLLM": "#c2410c", "Portkey": "#7048a8"}
WIDTH, LEFT, RIGHT, BAR, GAP = 760, 90, 80, 20, 6
CHARACTERS = 48

Groups = list[tuple[str, list[tuple[str, float]]]]


def _groups(results: Results) -> Groups:
    found: Groups = []
    for title, scenario, figure in GROUPS:
        values = [(peer, ratio(results, scenario, peer, figure)) for peer in results.peers]
        bars = [(peer, value) for peer, value in values if value is not None]
        if bars:
            found.append((title, bars))
    return found


def _share(value: float, groups: Groups) -> float:
    """A bar's length from 0 to 1: a tenth for nginx, the rest by the logarithm."""
    top = max(value for _, bars in groups for _, value in bars)
    return 0.1 + 0.9 * max(0.0, math.log(value) / math.log(top)) if top > 1 and value > 0 else 0.1


def text(results: Results) -> str:
    """The chart in characters."""
    groups = _groups(results)
    lines = ["In multiples of nginx's (logarithmic bars)"]
    for title, bars in groups:
        lines += ["", title]
        for peer, value in bars:
            bar = "#" * round(CHARACTERS * _share(value, groups))
            lines.append(f"  {peer:<9}{bar} {shown(value)}")
    return "\n".join(lines) + "\n"


def svg(results: Results) -> str:
    """The chart as SVG."""
    groups = _groups(results)
    room, y, parts = WIDTH - LEFT - RIGHT, 44, []
    for title, bars in groups:
        parts.append(f'<text x="12" y="{y}" font-weight="600">{escape(title)}</text>')
        y += 10
        for peer, value in bars:
            width = round(room * _share(value, groups))
            middle, colour = y + BAR - 5, COLOURS.get(peer, "#444")
            parts += [
                f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(peer)}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" fill="{colour}"/>',
                f'<text x="{LEFT + width + 6}" y="{middle}">{shown(value)}</text>',
            ]
            y += BAR + GAP
        y += 22
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        'role="img" font-family="sans-serif" font-size="13">\n'
        f"<title>CPU in multiples of nginx's</title>\n"
        f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>\n'
        '<text x="12" y="20" font-size="15">CPU in multiples of nginx\'s (logarithmic bars)</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
