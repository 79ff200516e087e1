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
