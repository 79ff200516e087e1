"""Pictures of a table of number prediction; needs Matplotlib."""

from matplotlib.figure import Figure

from dsl.datasets import numbers as data
from dsl.experiment.comparing.learning_curves import row_name
from dsl.runs.results import ResultError, is_finite

_MOST_RINGS = 25  # in a column or row


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
    figure = _panels(rows, policy, _ring)
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
    figure = _panels(rows, policy_by_step)
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
        axes.set_title(row_name(row, len(found)), fontsize=9)
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


def policy(record):
    """How often each distance was chosen, by the pointer.

    Args:
        record: A record.

    Returns:
        A list for each symbol, of the shares of the distances 1..K; None of a
        run without an agent that learned.

    Raises:
        ResultError: If the record holds something else.
    """
    symbols = record["settings"].get("symbols")
    return _shares(record, "policy", symbols, "symbol")


def policy_by_step(record):
    """How often each distance was chosen at each step; see `policy`."""
    length = record["settings"].get("length")
    count = length + 1 if type(length) is int else None
    return _shares(record, "policy_by_step", count, "step")


def _shares(record, key, count, what):
    """Shares of the distances for each of a number of things, checked."""
    found = record["test"].get(key)
    if found is None:
        return None
    distances = record["settings"].get("n_actions")
    fits = (
        isinstance(found, list)
        and len(found) == count
        and all(
            isinstance(row, list) and len(row) == distances for row in found
        )
        and all(is_finite(share) for row in found for share in row)
    )
    if not fits:
        raise ResultError(
            f"{record['run_folder']}: `test.{key}` must hold a share for each "
            f"{what} and distance."
        )
    return found
