"""The picture of a table: what its rows measured, epoch by epoch."""

from matplotlib import lines, ticker
from matplotlib.figure import Figure

from dsl.experiment.comparing.figure import set_log_scale
from dsl.runs.results import ResultError, is_finite

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
    "random": "#D55E00",
    "fixed_skip": "#56B4E9",
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


def draw(rows, measure):
    """Draws a measure on the validation split against the epoch.

    Args:
        rows: List of `plan.Row`.
        measure: The `measures.Measure`.

    Returns:
        A Matplotlib `Figure`: a line for each row, the mean over the seeds
        that were trained that far, in a band from the worst to the best of
        them; dashes for what the paper reports. None without any run.
    """
    curves = [(row, _curve(row.records, measure)) for row in rows]
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
    axes.set_ylabel(f"validation, {measure.heading}")
    if measure.ceiling is None:
        set_log_scale(axes)
    else:
        axes.set_ylim(0, 1.02 * measure.scale * measure.ceiling)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    _add_published(axes, rows, measure)
    _add_legend(figure, [row for row, _ in curves], looks)
    return figure


def _curve(records, measure):
    """Of each epoch its number, the mean over runs, the worst, the best."""
    runs = [curve(record, measure) for record in records]
    points = []
    for epoch in sorted({epoch for run in runs for epoch in run}):
        each = [measure.scale * run[epoch] for run in runs if epoch in run]
        points.append((epoch, sum(each) / len(each), min(each), max(each)))
    return points


def curve(record, measure):
    """A measure on the validation split after each epoch of a run.

    Args:
        record: Its record.
        measure: The `measures.Measure`.

    Returns:
        Dict from the epoch to the value.

    Raises:
        ResultError: If the record holds no such figures.
    """
    found = {}
    for entry in record.get("epochs") or []:
        try:
            epoch, share = entry["epoch"], entry[f"valid_{measure.name}"]
        except (KeyError, TypeError):
            epoch = share = None
        if type(epoch) is not int or not is_finite(share):
            raise ResultError(
                f"{record['run_folder']}: each of `epochs` must have an "
                f"`epoch` and its `valid_{measure.name}`."
            )
        found[epoch] = share
    return found


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
                "color": _COLORS.get(kind, "0.4"),
                "linestyle": line,
                "marker": marker,
                "markersize": 4,
                "linewidth": 1.5,
            }
        )
    return looks


def _kind(settings):
    """What gives a row its color: the model, or how its agent learned."""
    if settings.get("policy", "learned") != "learned":
        return settings["policy"]
    recipe = settings.get("recipe")
    names = settings["model"], settings.get("estimator"), recipe
    if names[0] != "dynamic_skip":
        return names[0]
    return recipe if recipe in _COLORS else names[1]


def row_name(row, seeds):
    """The name of a row, and how many seeds of it are shown."""
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


def _add_published(axes, rows, measure):
    """A dashed line for each figure that is published, and its model."""
    found = {}
    for row in rows:
        value = row.published.get(f"valid_{measure.name}")
        if value is not None:
            found.setdefault(_model(row.settings), measure.scale * value)
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


def _model(settings):
    """The model of a published figure, in few words."""
    if settings["model"] == "fixed_skip":
        return f"fixed skip {settings['skip']}"
    if settings["model"] == "dynamic_skip":
        return f"λ={settings['lamda']:g}"
    return {"lstm": "LSTM"}.get(settings["model"], settings["model"])


def _add_legend(figure, rows, looks):
    figure.legend(
        [lines.Line2D([], [], **look) for look in looks],
        [row_name(row, len(row.records)) for row in rows],
        title="mean and range of the seeds\nthat were trained that far",
        alignment="left",
        loc="outside right upper",
        frameon=False,
        handlelength=3.5,
        fontsize=9,
        title_fontsize=9,
    )
