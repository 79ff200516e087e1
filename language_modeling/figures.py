"""Pictures of language models; needs Matplotlib."""

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure

from dsl.experiment.comparing.figure import COLORS, MARKERS, name_lines

DPI = 200


def gradients(curves):
    """Draws how much of a last step's loss is left at the steps before it.

    Args:
        curves: Pairs of the name of a model and the normalized norms of its
            runs, each `(steps,)`.

    Returns:
        A Matplotlib `Figure`: a line for each model, the mean over its runs,
        in a band from the lowest to the highest of them. A norm of 0 has no
        place on its scale.
    """
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    length = len(curves[0][1][0])
    steps = np.arange(1, length + 1)
    for number, (_, runs) in enumerate(curves):
        norms = np.where(np.array(runs) > 0, runs, np.nan)
        color = COLORS[number % len(COLORS)]
        axes.plot(
            steps,
            norms.mean(axis=0),
            color=color,
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linewidth=1.6,
            markevery=-(-length // 20),
        )
        axes.fill_between(
            *(steps, norms.min(axis=0), norms.max(axis=0)),
            color=color,
            alpha=0.15,
            linewidth=0,
        )
    axes.set_yscale("log")
    axes.set_xlabel(f"step t of {length}")
    axes.set_ylabel(
        r"$\|\partial L_T / \partial h_t\|$ over that of the last step"
        " (log scale)"
    )
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10])
    )
    # Curves of few decades cannot be read from powers of ten alone.
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(
        ticker.FuncFormatter(lambda value, _: f"{value:,.6g}")
    )
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    names = [name for name, _ in curves]
    name_lines(figure, axes.lines, names, "outside upper left")
    return figure


def sweep(axis, points, title):
    """Draws the perplexity against what was swept over.

    Args:
        axis: What that is, in words.
        points: List of triples `(value, valid, test)`, the perplexities of
            the runs of each value, of which there need be none; the first
            value is that of the plain LSTM.
        title: What was run.

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
            [np.mean(each) for each in runs],
            color=COLORS[number],
            linestyle=line,
            linewidth=1.6,
            marker=marker,
            markersize=5,
        )
        axes.vlines(
            *(values, [min(each) for each in runs], [*map(max, runs)]),
            color=COLORS[number],
            alpha=0.3,
            linewidth=4,
        )
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(axis)
    axes.set_ylabel("perplexity")
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
