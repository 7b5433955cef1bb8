"""Draws docs/benchmarks.svg: one panel per endpoint, one bar per contender."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .contenders import Contender
from .endpoints import Endpoint
from .measure import Options, Results
from .report import middle

_COLUMNS = 2
_PANEL = 490
_LABEL = 245
_BAR = 180
_ROW = 17
_HEAD = 30
_GAP = 18
_TOP = 62

_STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; }
.panel { font-size: 13px; font-weight: 600; }
.ours { font-weight: 600; }
.quiet { fill: #57606a; }
.application { fill: #8c959f; }
.database { fill: #d0d7de; }
.ours.application { fill: #0969da; }
.ours.database { fill: #80ccff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .application { fill: #7d8590; }
  .database { fill: #3d444d; }
  .ours.application { fill: #58a6ff; }
  .ours.database { fill: #1f6feb; }
}"""


@dataclass(frozen=True)
class _Bar:
    contender: Contender
    application: float
    database: float

    @property
    def total(self) -> float:
        return self.application + self.database


def draw(results: Results, options: Options, database: str) -> str:
    """Return the picture of the CPU of each request, as SVG."""
    height = _HEAD + _ROW * len(options.contenders) + _GAP
    rows = -(-len(options.endpoints) // _COLUMNS)
    width, total_height = _PANEL * _COLUMNS, _TOP + rows * height
    panels = [
        _panel(
            endpoint,
            _bars(results, options.contenders, endpoint),
            (number % _COLUMNS * _PANEL, _TOP + number // _COLUMNS * height),
        )
        for number, endpoint in enumerate(options.endpoints)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total_height}">',
            f"<title>CPU milliseconds per request, {escape(database)}</title>",
            f"<style>{_STYLE}</style>",
            _text(10, 24, f"CPU milliseconds per request, {database}", "title"),
            *_legend(),
            *panels,
            "</svg>",
            "",
        ]
    )


def _legend() -> list[str]:
    return [
        _rectangle(10, 36, 12, "ours application"),
        _rectangle(24, 36, 12, "application"),
        _text(42, 46, "application", "quiet"),
        _rectangle(125, 36, 12, "ours database"),
        _rectangle(139, 36, 12, "database"),
        _text(157, 46, "database · shorter is better", "quiet"),
    ]


def _bars(results: Results, contenders: Sequence[Contender], endpoint: Endpoint) -> list[_Bar]:
    bars: list[_Bar] = []
    for contender in contenders:
        where = (results, contender.name, endpoint.name)
        application = middle(*where, lambda sample: sample.application_ms)
        database = middle(*where, lambda sample: sample.database_ms or 0.0)
        if application is not None and database is not None:
            bars.append(_Bar(contender, application, database))
    return bars


def _panel(endpoint: Endpoint, bars: list[_Bar], place: tuple[int, int]) -> str:
    left, top = place
    longest = max((bar.total for bar in bars), default=1.0)
    lines = [_text(left + 10, top + 16, f"{endpoint.name}  {endpoint.title}", "panel")]
    for number, bar in enumerate(bars):
        y = top + _HEAD + number * _ROW
        kind = "ours" if bar.contender.kind == "ours" else ""
        first, second = (_BAR * part / longest for part in (bar.application, bar.database))
        start = left + _LABEL
        label = bar.contender.title.replace("`", "")
        lines += [
            _text(start - 8, y + 10, label, kind, anchor="end"),
            _rectangle(start, y, first, f"{kind} application".strip()),
            _rectangle(start + first, y, second, f"{kind} database".strip()),
            _text(start + first + second + 6, y + 10, f"{bar.total:.2f}", kind or "quiet"),
        ]
    return "\n".join(lines)


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    attributes = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{escape(text)}</text>'


def _rectangle(x: float, y: float, width: float, kind: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="12" class="{kind}"/>'
