"""One self-contained HTML page of the runs in a folder: a table, and bars with peers, floor and spread as inline SVG."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#16212b}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.3rem .5rem;border-bottom:1px solid #d8dee4;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.no{color:#b3261e}.yes{color:#1b6e3c}svg{width:100%}"
    "@media(prefers-color-scheme:dark){body{background:#11181f;color:#e4e9ee}td,th{border-color:#2c3843}}"
)
_OURS, _PEER, _FLOOR = "#1677b3", "#9aa7b2", "#b3261e"
_ROW, _LEFT, _WIDTH = 20, 260, 900


def _number(value: Any) -> str:
    return "" if value is None else f"{float(value):.4g}"


def _bars(results: list[dict[str, Any]]) -> str:
    """Horizontal bars of p50 (line to p95) of ours and each peer; a red line is the physical limit."""
    rows: list[tuple[str, float, float, str, float | None]] = []
    for result in results:
        rows.append((result["case"] or result["benchmark"], result["p50"], result["p95"], _OURS, result["floor"]))
        rows += [(f"– {peer['name']}", peer["p50"], peer["p95"], _PEER, None) for peer in result["peers"]]
    top = max((max(row[1], row[2], row[4] or 0) for row in rows), default=1) or 1
    scale = (_WIDTH - _LEFT - 90) / top
    parts = [f'<svg viewBox="0 0 {_WIDTH} {len(rows) * _ROW + 8}" role="img" font-size="12">']
    for index, (label, p50, p95, colour, floor) in enumerate(rows):
        y = index * _ROW + 4
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end" fill="currentColor">{escape(label)}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y + 2}" width="{p50 * scale:.1f}" height="{_ROW - 8}" fill="{colour}"/>')
        low, high = sorted((p50, p95))
        parts.append(
            f'<line x1="{_LEFT + low * scale:.1f}" x2="{_LEFT + high * scale:.1f}" y1="{y + 8}" y2="{y + 8}" '
            'stroke="currentColor"/>'
        )
        if floor is not None:
            x = _LEFT + floor * scale
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + _ROW}" stroke="{_FLOOR}" stroke-width="2"/>'
            )
        parts.append(
            f'<text x="{_LEFT + max(p50, p95) * scale + 6:.1f}" y="{y + 12}" fill="currentColor">{p50:.4g}</text>'
        )
    return "".join(parts) + "</svg>"


def _table(results: list[dict[str, Any]]) -> str:
    head = ["case", "n", "p50", "p95", "p99", "unit", "peer", "peer-p50", "ratio", "floor", "target"]
    rows = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for result in results:
        if result["skipped"]:
            rows.append(
                f'<tr><td>{escape(result["case"])}</td><td colspan="10">skipped: {escape(result["skipped"])}</td></tr>'
            )
            continue
        peer = result["peer"] or {}
        target = ""
        if result["target"]:
            state = ("yes", "✓") if result["met"] else ("no", "✗")
            target = f'<span class="{state[0]}">{state[1]} {escape(result["target"])}</span>'
        numbers = [str(result["n"]), *(_number(result[key]) for key in ("p50", "p95", "p99"))]
        rows.append(
            f"<tr><td>{escape(result['case'])}</td>"
            + "".join(f'<td class="n">{number}</td>' for number in numbers)
            + f"<td>{escape(result['unit'])}</td><td>{escape(' '.join((peer.get('name', ''), peer.get('version', ''))))}</td>"
            + f'<td class="n">{_number(peer.get("p50"))}</td><td class="n">{_number(result["ratio"])}</td>'
            + f'<td class="n">{_number(result["floor"])}</td><td>{target}</td></tr>'
        )
    return f"<table>{''.join(rows)}</table>"


def render(runs: list[dict[str, Any]]) -> str:
    """The page of these runs, newest first."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>CloudFilm benchmarks</title>',
        '<meta name="viewport" content="width=device-width"><style>' + _STYLE + "</style></head><body>",
        "<h1>CloudFilm benchmarks</h1>",
    ]
    for run in sorted(runs, key=lambda item: str(item["when"]), reverse=True):
        machine = ", ".join(f"{key} {value}" for key, value in run["hardware"].items())
        parts.append(f"<h2>{escape(run['when'])} · {escape(run['commit'])}</h2><p>{escape(machine)}</p>")
        for name in dict.fromkeys(result["benchmark"] for result in run["results"]):
            results = [result for result in run["results"] if result["benchmark"] == name]
            timed = [result for result in results if not result["skipped"]]
            parts.append(f"<h3>{escape(name)}</h3>{_table(results)}")
            for unit in dict.fromkeys(result["unit"] for result in timed):
                parts.append(_bars([result for result in timed if result["unit"] == unit]))
    return "".join(parts) + "</body></html>"


def write_report(folder: Path) -> Path:
    """Write ``report.html`` from every run's JSON in ``folder``. Raises FileNotFoundError when there is none."""
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    runs = [run for run in runs if isinstance(run, dict) and "results" in run]
    if not runs:
        raise FileNotFoundError(f"no run in {folder}")
    path = folder / "report.html"
    path.write_text(render(runs), "utf-8")
    return path
