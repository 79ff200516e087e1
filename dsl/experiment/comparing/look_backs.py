"""The picture of how far back runs looked, epoch by epoch."""

import math

from matplotlib import lines, patches, ticker
from matplotlib.figure import Figure

from dsl.analysis.connections import COLORS, shorten
from dsl.experiment.comparing.figure import name_lines
from dsl.runs import results
from dsl.system.messages import printable, short

_PREVIOUS = "#b0b0b0"
_LINES = {
    "of the shares": {"linestyle": "--", "marker": "s", "fillstyle": "none"},
    "of the agent's choices": {"linestyle": "-", "marker": "o"},
}
_MOST_ACROSS = 3
_LONGEST_NAME = 40


def draw(runs):
    """Draws the share of each look-back distance and their entropy.

        H(shares) = -sum_k p_k log p_k, p_k share of distance k in an epoch
        H(choices) = mean over words of that of the agent's probabilities

    What lies between the two is how much the choices depend on the words.

    Args:
        runs: What `comparing.reading.load` returns. Those without distances
            are left out.

    Returns:
        A Matplotlib `Figure`, a panel a run; None if no run has distances.

    Raises:
        ResultError: If the shares or the entropy of an epoch are no numbers.
    """
    panels = [(run, epochs) for run in runs if (epochs := _epochs(run))]
    if not panels:
        return None
    across = min(_MOST_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(
        figsize=(2.6 + 2.9 * across, 4.2 * down), layout="constrained"
    )
    grid = figure.subplots(
        *(2 * down, across), squeeze=False, height_ratios=[2, 1] * down
    )
    most = max(len(shares) for _, epochs in panels for _, shares, _ in epochs)
    for n in range(across * down):
        row, column = divmod(n, across)
        pair = grid[2 * row : 2 * row + 2, column]
        if n < len(panels):
            _draw_run(pair, *panels[n], most)
            for axes in pair if column else ():
                axes.set_ylabel("")
        else:
            for axes in pair:
                axes.set_axis_off()
    _add_legend(figure, most)
    return figure


def _epochs(run):
    """Triples of epoch, shares and entropy, None where no agent learns."""
    learned = run["config"]["settings"].get("policy", "learned") == "learned"
    found = []
    for entry in run["epochs"]:
        shares = entry.get("look_back_histogram")
        if shares is None:
            continue
        entropy = entry.get("entropy") if learned else None
        numbers = [*shares, entropy or 0.0] if isinstance(shares, list) else []
        fit = all(results.is_finite(x) and x >= 0 for x in numbers)
        if len(numbers) < 2 or not fit:
            raise results.ResultError(
                f"{run['name']}: epoch {entry['epoch']}: "
                "`look_back_histogram` and `entropy` must be numbers of at "
                f"least 0. Received: {short([shares, entropy])}"
            )
        found.append((entry["epoch"], shares, entropy))
    return found


def _draw_run(pair, run, epochs, most):
    """The panels of a run: bars of shares, and below them the entropies."""
    numbers = [epoch for epoch, _, _ in epochs]
    bars, curves = pair
    top = [0.0] * len(epochs)
    for k in range(most):
        heights = [
            shares[k] if k < len(shares) else 0.0 for _, shares, _ in epochs
        ]
        bars.bar(numbers, heights, bottom=top, width=0.9, color=_color(k + 1))
        top = [a + b for a, b in zip(top, heights, strict=True)]
    for values, kind in (
        ([_entropy(shares) for _, shares, _ in epochs], "of the shares"),
        ([entropy for _, _, entropy in epochs], "of the agent's choices"),
    ):
        if None not in values:
            curves.plot(numbers, values, **_look(kind))
    name = shorten(printable(run["name"]), _LONGEST_NAME)
    bars.set_title(name, fontsize=9, parse_math=False)
    bars.set_ylabel("share of the distances", fontsize=9)
    bars.set_ylim(0, 1)
    curves.set_ylabel("entropy, nats", fontsize=9)
    curves.set_ylim(0, 1.05 * math.log(max(2, most)))
    curves.set_xlabel("epoch", fontsize=9)
    curves.grid(color="0.9")
    for axes in pair:
        axes.set_xlim(numbers[0] - 0.6, numbers[-1] + 0.6)
        axes.xaxis.set_major_locator(
            ticker.MaxNLocator(integer=True, min_n_ticks=1)
        )
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)


def _entropy(shares):
    return -sum(p * math.log(p) for p in shares if p > 0)


def _color(distance):
    if distance == 1:
        return _PREVIOUS
    return COLORS[(distance - 2) % len(COLORS)][0]


def _look(style):
    return {
        "color": "black",
        "linewidth": 1.4,
        "markersize": 4,
        **_LINES[style],
    }


def _add_legend(figure, most):
    distances = [patches.Patch(color=_color(k)) for k in range(1, most + 1)]
    names = ["previous word"]
    names += [f"{k} words back" for k in range(2, most + 1)]
    name_lines(
        figure,
        [*distances, *(lines.Line2D([], [], **_look(one)) for one in _LINES)],
        [*names, *(f"entropy {one}" for one in _LINES)],
        "outside right upper",
    )
