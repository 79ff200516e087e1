"""The picture of what runs measured, epoch by epoch."""

from matplotlib import lines, ticker
from matplotlib.figure import Figure

from dsl.system.messages import printable

# Told apart with any color vision (Okabe and Ito 2008), without the yellow,
# which is too light for a line on white.
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#E69F00",
    "#56B4E9",
)
# No common divisor with the colors: 56 runs before a pair comes again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLES = {"valid": "-", "train": "--"}
NAMES = {"valid": "validation", "train": "training"}


def draw(curves, measure):
    """Draws a measure in validation and training against the epoch.

    Args:
        curves: Pairs of the name of a run and its epochs, as
            `dsl.runs.results.load_metrics` returns them. Values that an epoch
            lacks are left out.
        measure: The `measures.Measure`; the scale is logarithmic if less of it
            is better.

    Returns:
        A Matplotlib `Figure` with one axes; solid lines are validation,
        dashed lines training, one color and marker a run.
    """
    longest = max(len(name) for name, _ in curves)
    figure = Figure(
        figsize=(7.0 + 0.08 * longest, max(4.5, 1.2 + 0.2 * len(curves))),
        layout="constrained",
    )
    axes = figure.add_subplot()
    for number, (_, epochs) in enumerate(curves):
        for part in STYLES:
            _plot(axes, epochs, measure, part, number)
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure.heading)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(integer=True, min_n_ticks=1)
    )
    if measure.ceiling is None:
        set_log_scale(axes)
    _add_legend(figure, [name for name, _ in curves])
    return figure


def _plot(axes, epochs, measure, part, number):
    """Adds one curve of one run; none if it has no such values."""
    key = f"{part}_{measure.name}"
    points = [
        (entry["epoch"], measure.scale * entry[key])
        for entry in epochs
        if key in entry
    ]
    if points:
        axes.plot(
            *zip(*points, strict=True),
            **_look(number, part),
            # At most 20 markers, however long the run.
            markevery=-(-len(points) // 20),
        )


def _look(number, part):
    """How a curve of a run is drawn; training is dashed, thin and hollow."""
    training = part == "train"
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": STYLES[part],
        "linewidth": 1.0 if training else 1.6,
        "fillstyle": "none" if training else "full",
        "markeredgewidth": 0.8,
        "markersize": 4 if training else 5,
        "zorder": 2 if training else 3,
    }


def set_log_scale(axes):
    """A logarithmic scale of what is drawn, in plain numbers."""
    axes.set_yscale("log")
    axes.set_ylabel(f"{axes.get_ylabel()} (log scale)")
    low, high = axes.get_ylim()
    if high < 3 * low:
        ticks = ticker.MaxNLocator(nbins=8, steps=[1, 2, 5, 10])
    elif high < 30 * low:
        ticks = ticker.LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7))
    else:
        ticks = ticker.LogLocator(subs=(1, 2, 5))
    axes.yaxis.set_major_locator(ticks)
    axes.yaxis.set_major_formatter(
        ticker.FuncFormatter(lambda value, _: f"{value:,.6g}")
    )
    axes.yaxis.set_minor_locator(ticker.NullLocator())


def _add_legend(figure, names):
    """Names the lines beside the axes."""
    styles = [
        lines.Line2D([], [], **_look(0, part) | {"color": "0.3"})
        for part in STYLES
    ]
    runs = [
        lines.Line2D([], [], **_look(number, "valid"))
        for number in range(len(names))
    ]
    texts = [*NAMES.values(), *names]
    name_lines(figure, [*styles, *runs], texts, "outside right upper")


def name_lines(figure, handles, texts, place, columns=1):
    """Adds a legend of the texts as they stand.

    A legend of its own would leave out labels that begin with an underscore
    and read dollar signs as mathematics.

    Args:
        figure: A Matplotlib `Figure`.
        handles: Lines and patches to name.
        texts: Their names.
        place: Where it goes, see Matplotlib's `loc`.
        columns: Columns of the legend.

    Returns:
        The legend.
    """
    legend = figure.legend(
        handles,
        ["?"] * len(texts),
        loc=place,
        ncols=columns,
        frameon=False,
        fontsize=9,
    )
    for label, text in zip(legend.get_texts(), texts, strict=True):
        label.set_parse_math(False)
        label.set_text(printable(text))
    return legend
