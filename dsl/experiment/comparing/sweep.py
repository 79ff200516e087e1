"""The picture of a sweep: what was measured, by the value of one setting."""

import numpy as np
from matplotlib.figure import Figure

from dsl.experiment.comparing.figure import COLORS, name_lines


def points(sweep, rows, measure):
    """What is kept of a sweep, by value.

    Args:
        sweep: The `plan.Sweep`.
        rows: List of `plan.Row`, of its rows or some of them.
        measure: The `measures.Measure`.

    Returns:
        List of triples `(value, valid, test)`, what the runs of a value have
        measured, empty where none is kept.
    """
    records = {row.name: row.records for row in rows}
    return [
        (
            value,
            *(
                [one[part][measure.name] for one in records.get(row, ())]
                for part in ("valid", "test")
            ),
        )
        for value, row in sweep.points.items()
    ]


def draw(axis, points, title, measure):
    """Draws a measure against what was swept over.

    Args:
        axis: What that is, in words.
        points: What `points` returned; the first value is that of the plain
            LSTM.
        title: What was run.
        measure: The `measures.Measure`.

    Returns:
        A Matplotlib `Figure`: a line for each text, the mean over the runs,
        and bars from the lowest to the highest of them.
    """
    figure = Figure(figsize=(5.5, 4.0), layout="constrained")
    axes = figure.add_subplot()
    values = [value for value, *_ in points]
    for number, (line, marker) in enumerate((("--", "s"), ("-", "o"))):
        # Where there is no run, the line is broken.
        runs = [one[1 + number] or [np.nan] for one in points]
        axes.plot(
            values,
            [measure.scale * np.mean(each) for each in runs],
            color=COLORS[number],
            linestyle=line,
            linewidth=1.6,
            marker=marker,
            markersize=5,
        )
        axes.vlines(
            *(
                values,
                *([measure.scale * f(x) for x in runs] for f in (min, max)),
            ),
            color=COLORS[number],
            alpha=0.3,
            linewidth=4,
        )
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(axis)
    axes.set_ylabel(measure.heading)
    names = [f"{value:g}" for value in values]
    axes.set_xticks(values, [f"{names[0]}\nplain", *names[1:]])
    beside = 0.05 * (values[-1] - values[0])
    axes.set_xlim(values[0] - beside, values[-1] + beside)
    axes.set_axisbelow(True)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    texts = ["validation", "test"]
    name_lines(figure, axes.lines, texts, "outside upper center", columns=2)
    return figure
