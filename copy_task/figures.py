"""Pictures of copies; needs Matplotlib."""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from copy_task import measuring
from copy_task.tables import LENGTHS
from dsl.runs.results import ResultError
from dsl.system import pictures


def draw(examples, found, title):
    """Draws one sequence: what was read, wanted, put out, and what was wrong.

    Args:
        examples: The `dsl.datasets.copying.Examples`; the first one is drawn.
        found: Its `output`, in percent, `(steps, bits)`, and `look_back`,
            `(steps,)`, as `measuring.example` gives them.
        title: Above the picture.

    Returns:
        A Matplotlib `Figure`, of values from 0 to 1; below, for a model that
        has read past states, which step's state each step went on from.
    """
    output = np.array(found["output"]) / 100
    look_back = np.array(found["look_back"])
    settings, target = examples.settings, examples.ones[0]
    middle = (settings.low + settings.high) / 2
    panels = [
        ("input", examples.inputs[0] > middle),
        ("target", target),
        ("output", output),
        ("error", np.abs(output - target)),
    ]
    reads = bool(look_back.any())
    heights = [x.shape[1] for _, x in panels] + [14] * reads
    figure = Figure(
        figsize=(max(6.5, 0.045 * settings.steps), 0.115 * sum(heights) + 1.2),
        layout="constrained",
    )
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(
        len(heights), 1, sharex=True, height_ratios=heights, squeeze=False
    )[:, 0]
    for axes, (name, values) in zip(grid, panels, strict=False):
        image = axes.imshow(
            values.T,
            vmin=0,
            vmax=1,
            cmap="cividis",
            aspect="auto",
            interpolation="nearest",
        )
        axes.set_ylabel(name, fontsize=9)
        axes.set_yticks([])
    if reads:
        steps = np.arange(settings.steps)
        grid[-1].plot(
            steps, steps - look_back, ".", markersize=3, color="#D55E00"
        )
        grid[-1].set_ylabel("read from", fontsize=9)
        grid[-1].grid(color="0.9")
    grid[-1].set_xlabel("step", fontsize=9)
    grid[-1].tick_params(labelsize=8)
    figure.colorbar(image, ax=list(grid[:4]), fraction=0.03, pad=0.01)
    return figure


def save(args, model, data):
    """Draws the first sequence of each length: FILE-10.png, and so on.

    Yields:
        The path of each picture.
    """
    path = Path(args.figure)
    for length, examples in data.lengths.items():
        scored = measuring.score_length(args, model, data, length)
        found = measuring.example(scored)
        at = path.with_name(f"{path.stem}-{length}{path.suffix}")
        pictures.save(draw(examples, found, f"{length} vectors"), at, dpi=150)
        yield at


def of_rows(rows):
    """The first sequence of each length, of each row's first run.

    Args:
        rows: List of `plan.Row`.

    Returns:
        Dict from a file's name to a Matplotlib `Figure`.
    """
    from copy_task.task import load

    found = {}
    for row in rows:
        if not row.runs:
            continue
        record = row.records[0]
        data = load(argparse.Namespace(**record["settings"]), None)
        for length in LENGTHS:
            kept = (record["test"].get("examples") or {}).get(str(length))
            if kept is None or length not in data.lengths:
                raise ResultError(
                    f"{record['run_folder']}: `test.examples` must hold one "
                    f"of length {length}."
                )
            found[f"{row.name}-{length}.png"] = draw(
                data.lengths[length], kept, f"{row.name}: {length} vectors"
            )
    return found
