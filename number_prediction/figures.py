"""Pictures of a table of number prediction; needs Matplotlib."""

from matplotlib import lines, ticker
from matplotlib.figure import Figure

from dsl.datasets import numbers as data
from number_prediction import tables

DPI = 200
# Told apart with any color vision (Okabe and Ito 2008), a color for each kind
# of model.
_COLORS = {
    "lstm": "#000000",
    "attention": "#E69F00",
    "reinforce": "#0072B2",
    "straight_through": "#009E73",
    "paper": "#CC79A7",
    "published_code": "#999933",
    "oracle": "#882255",
    "uniform": "#D55E00",
}
# Beyond these colors, rows of one kind differ in line and marker.
_STYLES = (
    ("-", "o"),
    ("--", "s"),
    (":", "^"),
    ("-.", "D"),
    ("-", "v"),
    ("--", "P"),
)
_MOST_RINGS = 25  # in a column or row


def accuracy(rows):
    """Draws the accuracy on the dev set against the epoch.

    Args:
        rows: List of `plan.Row`.

    Returns:
        A Matplotlib `Figure`: a line for each row, the mean over the seeds
        that were trained that far, in a band from the worst to the best of
        them; dashes for what the paper reports. None without any run.
    """
    curves = [(row, _curve(row.records)) for row in rows]
    curves = [(row, curve) for row, curve in curves if curve]
    if not curves:
        return None
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    looks = _looks([row for row, _ in curves])
    for (row, curve), look in zip(curves, looks, strict=True):
        epochs, means, low, high = zip(*curve, strict=True)
        # Rows lie one on the other at 100 %: those of the paper on top.
        order = 4 if row.published else 3
        axes.plot(
            epochs, means, markevery=_marked(epochs), zorder=order, **look
        )
        axes.fill_between(
            epochs, low, high, color=look["color"], alpha=0.15, linewidth=0
        )
    last = max(curve[-1][0] for _, curve in curves)
    _set_epochs(axes, last)
    axes.set_ylim(0, 102)
    axes.set_ylabel("accuracy on the dev set, %")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    _add_published(axes, rows)
    _add_legend(figure, [row for row, _ in curves], looks)
    return figure


def _curve(records):
    """Of each epoch its number, the mean over runs, the worst, the best."""
    runs = [tables.curve(record) for record in records]
    points = []
    for epoch in sorted({epoch for run in runs for epoch in run}):
        each = [100 * run[epoch] for run in runs if epoch in run]
        points.append((epoch, sum(each) / len(each), min(each), max(each)))
    return points


def _marked(epochs):
    """Where the markers of a line go: near in the beginning, then far."""
    steps = {1, 2, 3, 4, 5, 7, 10, 14, 20, 30, 50, 100, 200, epochs[-1]}
    return [n for n, epoch in enumerate(epochs) if epoch in steps]


def _looks(rows):
    """How the line of each row is drawn: no two alike."""
    taken, looks = {}, []
    for row in rows:
        kind = _kind(row.settings)
        number = taken.get(kind, 0)
        taken[kind] = number + 1
        line, marker = _STYLES[number % len(_STYLES)]
        looks.append(
            {
                "color": _COLORS[kind],
                "linestyle": line,
                "marker": marker,
                "markersize": 4,
                "linewidth": 1.5,
            }
        )
    return looks


def _kind(settings):
    if settings["model"] != "dynamic_skip":
        return settings["model"]
    if settings["policy"] != "learned":
        return settings["policy"]
    if settings["estimator"] == "straight_through":
        return "straight_through"
    recipe = settings["recipe"]
    return recipe if recipe in _COLORS else "reinforce"


def _name(row, seeds):
    return f"{row.name} ({seeds} seed{'s' * (seeds > 1)})"


def _set_epochs(axes, last):
    """Whole epochs; on a scale of factors where some runs are far longer."""
    if last > 20:
        axes.set_xscale("log")
        ticks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n <= last]
        axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.xaxis.set_major_formatter(ticker.ScalarFormatter())
        axes.set_xlabel("epoch (log scale)")
    else:
        axes.xaxis.set_major_locator(
            ticker.MaxNLocator(integer=True, min_n_ticks=1)
        )
        axes.set_xlabel("epoch")


def _add_published(axes, rows):
    """A dashed line for each figure that the paper reports, and its model."""
    found = {}
    for row in rows:
        share = row.published.get("valid_accuracy")
        if share is not None:
            words = {"lstm": "LSTM", "attention": "attention"}.get(
                row.settings["model"], f"λ={row.settings['lamda']:g}"
            )
            found.setdefault(words, 100 * share)
    height = -100.0
    for words, value in sorted(found.items(), key=lambda pair: pair[1]):
        axes.axhline(value, color="0.45", linewidth=0.8, dashes=(6, 4))
        # One above the other, however close the figures are.
        height = max(value, height + 3.2)
        axes.annotate(
            f"paper, {words}: {value:.1f}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            verticalalignment="center",
            color="0.3",
            fontsize=8,
            annotation_clip=False,
        )


def _add_legend(figure, rows, looks):
    figure.legend(
        [lines.Line2D([], [], **look) for look in looks],
        [_name(row, len(row.records)) for row in rows],
        title="mean and range of the seeds\nthat were trained that far",
        alignment="left",
        loc="outside right upper",
        frameon=False,
        handlelength=3.5,
        fontsize=9,
        title_fontsize=9,
    )


def policies(rows):
    """Draws how far back each row looks at its last step, by the pointer.

    Args:
        rows: List of `plan.Row`.

    Returns:
        A Matplotlib `Figure`: a panel for each row whose agent learned, the
        share of sampled actions, the mean over seeds; rings, unless they
        would be too small, at the state right after the digit pointed to.
        None without any such run.
    """
    figure = _panels(rows, tables.policy, _ring)
    if figure is None:
        return None
    *panels, bar = figure.axes
    figure.supxlabel("look-back distance at the last step", fontsize=10)
    figure.supylabel("pointer", fontsize=10)
    ringed = any(axes.lines for axes in panels)
    bar.set_ylabel(
        "share of sampled actions" + "\nring: the digit pointed to" * ringed
    )
    return figure


def policies_by_step(rows):
    """Draws how far back each row looks at each step.

    Args:
        rows: List of `plan.Row`.

    Returns:
        A Matplotlib `Figure`: a panel for each row whose agent learned, the
        share of greedy actions, the mean over seeds. None without any such
        run, or of runs that did not keep it.
    """
    figure = _panels(rows, tables.policy_by_step)
    if figure is None:
        return None
    figure.supxlabel("look-back distance", fontsize=10)
    figure.supylabel("step, from 0", fontsize=10)
    figure.axes[-1].set_ylabel("share of greedy actions")
    return figure


def _panels(rows, shares_of, add=lambda axes, row, shape: None):
    """A panel for each row that has shares, and a bar of their colors."""
    panels = [(row, _all_shares(row.records, shares_of)) for row in rows]
    panels = [(row, found) for row, found in panels if found]
    if not panels:
        return None
    across = min(4, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(
        figsize=(1.2 + 2.9 * across, 0.7 + 2.9 * down), layout="constrained"
    )
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (row, found) in zip(grid.flat, panels, strict=False):
        image = _draw_shares(axes, _mean(found))
        axes.set_title(_name(row, len(found)), fontsize=9)
        add(axes, row, image.get_array().shape)
    figure.colorbar(image, ax=list(grid.flat))
    return figure


def _draw_shares(axes, shares):
    """One panel, with distances from 1 and, downwards, a thing from 0."""
    count, distances = len(shares), len(shares[0])
    image = axes.imshow(
        shares,
        vmin=0.0,
        vmax=1.0,
        cmap="cividis",
        aspect="auto",
        extent=(0.5, distances + 0.5, count - 0.5, -0.5),
    )
    for axis, first, last in (
        (axes.xaxis, 1, distances),
        (axes.yaxis, 0, count - 1),
    ):
        step = 1 if last < 15 else 5 if last < 30 else 10
        axis.set_ticks([n for n in range(0, last + 1, step) if n >= first])
    axes.tick_params(labelsize=8)
    return image


def _ring(axes, row, shape):
    """Rings at the state right after the digit pointed to."""
    wanted = _distances(row.settings)
    reached = [(k, b) for b, k in enumerate(wanted) if k <= shape[1]]
    if reached and max(shape) <= _MOST_RINGS:
        axes.plot(
            *zip(*reached, strict=True),
            linestyle="none",
            marker="o",
            fillstyle="none",
            markersize=90 / max(*shape, 10),
            color="#D55E00",
        )


def _distances(settings):
    """How far back the digit that each pointer points to is."""
    task = data.Settings(
        settings["length"], settings["index_from"], settings["symbols"]
    )
    return [task.distance(b) for b in range(task.pointers)]


def _all_shares(records, shares_of):
    """The shares of each run whose agent learned, and that has kept them."""
    found = [shares_of(record) for record in records]
    return [shares for shares in found if shares is not None]


def _mean(found):
    """The mean over runs of each share."""
    return [
        [sum(each) / len(found) for each in zip(*rows, strict=True)]
        for rows in zip(*found, strict=True)
    ]
