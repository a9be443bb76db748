"""Draws the panels of the dashboard with the data that Prometheus has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

History = list[dict[str, Any]]
"""Prometheus's answer to a range query: series with `metric` and `values`."""

_COLUMNS = 3
_SHOWN_SERIES = 6


def draw(rows: Mapping[str, Mapping[str, tuple[str, str, History]]], file: Path) -> int:
    """Writes a picture of all panels: row, title, then legend, unit and series. Returns how many have data."""
    panels = [(row, title, *panel) for row, each in rows.items() for title, panel in each.items()]
    height = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(13, 2.6 * height), layout="constrained")
    FigureCanvasAgg(figure)
    with_data = 0
    for at, (row, title, legend, unit, history) in enumerate(panels):
        axes = figure.add_subplot(height, _COLUMNS, at + 1)
        axes.set_title(f"{row}: {title}" + (f" ({unit})" if unit != "short" else ""), fontsize=8, loc="left")
        with_data += bool(history)
        highest = sorted(history, key=lambda series: -float(series["values"][-1][1]))[:_SHOWN_SERIES]
        for series in highest:
            points = [(float(moment), float(value)) for moment, value in series["values"]]
            end = max((float(other["values"][-1][0]) for other in history), default=0.0)
            axes.plot(
                [moment - end for moment, _ in points],
                [value for _, value in points],
                label=_name(legend, series["metric"]),
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds", fontsize=6, labelpad=1)
        axes.tick_params(labelsize=6)
        axes.grid(alpha=0.3)
        if highest:
            axes.legend(fontsize=6, loc="lower left", framealpha=0.6)
    figure.savefig(file, dpi=80, metadata={"Software": None})
    return with_data


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: _readable(labels.get(match[1], "")), legend)


def _readable(value: str) -> str:
    """Names that a test has made differ each time."""
    return re.sub(r"-[0-9a-f]{6}\b", "", value)
