"""Shows how the gradient of a last word's loss vanishes backward in time.

python language_modeling/gradient_norms.py runs/LSTM runs/DYNAMIC
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from dsl.experiment import (
    command_line,
    kinds,
    output,
    program,
    saved,
    shared_flags,
)
from dsl.experiment.comparing import reading
from dsl.experiment.flags import BOTH, Flags, Group, flag
from dsl.system import messages
from language_modeling.task import TASK

# How many steps before the last one the table tells of.
STEPS_BACK = (1, 2, 5, 10, 20, 50, 100)


class Segments(Group):
    """What is measured, and how it is shown."""

    figure = flag(type=command_line.picture, metavar="FILE")
    """Draw the norms: .png, .pdf or .svg."""
    split = flag("test", choices=("train", "valid", "test"))
    """Text to measure on."""
    steps = flag(type=command_line.number(int, 2), metavar="T")
    """Length of a segment (default: the first run's --num_unroll_steps)."""
    streams = flag(100, command_line.count, "B")
    """Streams that the text is cut into."""
    actions = flag("greedy", choices=("greedy", "sampled"))
    """How an agent chooses."""
    level = flag(0.95, command_line.inner_share)
    """Share of the draws inside of an interval."""
    samples = flag(10_000, command_line.count, "N")
    """Draws of an interval."""
    data_dir = flag(type=command_line.name, metavar="DIR")
    """Folder of the text (default: that of the runs)."""
    download = flag(True, action=BOTH)
    """Whether the text may be downloaded where it is not at hand."""
    verbosity = flag("info", choices=shared_flags.VERBOSITIES)
    """What is said on standard error."""


FLAGS = Flags((Segments,))


def make_parser():
    parser = FLAGS.make_parser(
        prog="gradient_norms.py",
        description="The norm of the gradient of the last step's loss by each "
        "hidden state of the top layer, over segments of a text.",
        epilog="Exit codes: 0 done, 1 the picture cannot be written, 2 usage "
        "or a run is missing or wrong, 3 data missing or wrong, 130 "
        "interrupted.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="run folder with its weights; those that differ in the seed "
        "alone are taken together, and factors are to the first",
    )
    return parser


def parse_args(arguments=None):
    return FLAGS.parse(make_parser(), arguments)


@entry.program
def main(args):
    """Measures each run, and shows what differs."""
    from dsl.system import startup

    output.set_verbosity(args.verbosity)
    startup.check_keras()
    if args.figure is not None:
        program.need("--figure", "matplotlib", "plots")
    loaded = load(args)
    if args.steps is None:
        args.steps = loaded[0]["args"].num_unroll_steps
    check_length(args, loaded[0]["corpus"])
    startup.import_keras()
    groups = [
        {
            "run": group["name"],
            "name": f"{group['name']}: {model_of(group)}",
            "norms": [measure(args, run) for run in group["runs"]],
            "chooses": kinds.chooses(group["runs"][0]["args"]),
        }
        for group in reading.pooled(loaded)
    ]
    show(args, groups)
    if args.figure is not None:
        draw(args, groups)
    script = "language_modeling/gradient_norms.py"
    output.result(f"\n{messages.one_line(program.command(script))}")
    return 0


def load(args):
    """The runs, all on one corpus, as `comparing.reading.pooled` takes them."""
    from dsl.runs import results
    from dsl.runs.folder import RunError

    try:
        names = reading.names(args.runs)
    except results.ResultError as error:
        raise RunError(str(error)) from error
    where = ["--data_dir", args.data_dir] if args.data_dir else []
    where += [] if args.download else ["--no-download"]
    found = []
    for path, name in zip(args.runs, names, strict=True):
        call = TASK.parse(["--load_model", path, *where])
        log = None if found else output.note
        run, loaded, corpus = saved.load(TASK, path, call, log)
        if found and corpus.sha256 != found[0]["corpus"].sha256:
            raise RunError(
                f"{path}: must be of the corpus of {args.runs[0]}, "
                f"{found[0]['corpus'].name}. Received: {corpus.name}"
            )
        found.append(
            {
                "name": name,
                "task": TASK,
                "config": {"settings": TASK.of_run(loaded)},
                "scores": None,
                "folder": run,
                "args": loaded,
                "corpus": corpus,
            }
        )
    return found


def check_length(args, corpus):
    """Raises a RunError unless the text fills a segment of every stream."""
    from dsl.runs.folder import RunError

    tokens = len(getattr(corpus, args.split))
    if tokens < args.streams * (args.steps + 1):
        raise RunError(
            "--streams times --steps plus one must fit into the "
            f"{args.split} text of {tokens:,} tokens. "
            f"Received: {args.streams} x {args.steps + 1}"
        )


def model_of(group):
    """The model of a group of runs in words."""
    settings = group["config"]["settings"]
    return kinds.in_words(settings["model"], settings)


def measure(args, run):
    """The norms of a run, `(segments, steps)`.

    Raises:
        RunError: If they cannot be scaled to those of the last step.
    """
    from dsl.analysis import gradient_norms
    from dsl.runs.folder import RunError
    from language_modeling import measuring
    from language_modeling import model as building

    folder, of_run, corpus = run["folder"], run["args"], run["corpus"]
    # Small gradients need all their digits, whatever the run was trained in.
    of_run.mixed_precision = None
    model = building.build_model(
        of_run, len(corpus.vocabulary), corpus.vocabulary
    )
    found = folder.load_best(model)
    output.note(f"{folder.path}: best weights, of epoch {found['epoch']}")
    norms = gradient_norms.text_norms(
        model,
        getattr(corpus, args.split),
        length=args.steps,
        num_streams=args.streams,
        action_selection=args.actions,
        look_back_shares=measuring.imposed_shares(of_run, args.actions),
        keep_buffer=of_run.keep_buffer,
        seed=of_run.seed,
        jit_compile=kinds.jit_compile(of_run),
    )
    try:
        gradient_norms.normalized(norms)
    except ValueError as error:
        raise RunError(f"{folder.path}: {error}") from error
    return norms


def show(args, groups):
    """The norms and factors as a table."""
    from dsl.analysis import gradient_norms
    from dsl.experiment import tables

    segments = len(groups[0]["norms"][0])
    actions = ""
    if any(group["chooses"] for group in groups):
        actions = f"{args.actions} actions, "
    output.result(
        f"\n{args.split}: {segments:,} segments of {args.steps} steps, "
        f"{actions}norm of d loss_T / d h_t over that of the last step\n"
    )
    reference = gradient_norms.pooled(groups[0]["norms"])
    back = [n for n in STEPS_BACK if n < args.steps - 1]
    rows = []
    for group in groups:
        norms = gradient_norms.pooled(group["norms"])
        for n in [*back, args.steps - 1]:
            step = args.steps - 1 - n
            row = {**describe(group, step), "back": n}
            if group is not groups[0]:
                row |= compare(args, reference, norms, step)
            rows.append(row)
    output.result(tables.table(rows, columns(groups[0]["run"], args.level)))


def compare(args, reference, norms, step):
    """By what factor a norm is another's, where that leaves something."""
    from dsl.analysis import gradient_norms

    options = {"samples": args.samples, "level": args.level}
    return gradient_norms.factor(reference, norms, step, **options) or {}


def describe(group, step):
    """One row: what there is of a step, over the segments of all runs."""
    import numpy as np

    from dsl.analysis import gradient_norms

    found = [gradient_norms.scaled(one)[:, step] for one in group["norms"]]
    each = np.mean(found, axis=1)
    return {
        "name": group["name"],
        "norm": each.mean(),
        "quartiles": np.quantile(found, (0.25, 0.5, 0.75)),
        "reached": np.mean(np.array(found) > 0.0),
        "runs": (each.min(), each.max(), len(each)),
    }


def columns(reference, level):
    def of_runs(row):
        low, high, count = row["runs"]
        return "-" if count == 1 else f"{low:.2g} to {high:.2g} ({count} runs)"

    def interval(row):
        return f"[{row['low']:.3g}, {row['high']:.3g}]"

    def only(cell):
        return lambda row: cell(row) if "factor" in row else "-"

    return (
        ("model", lambda row: row["name"]),
        ("steps before the last", lambda row: str(row["back"])),
        ("norm", lambda row: f"{row['norm']:.3g}"),
        (
            "quartiles over segments",
            lambda row: " ".join(f"{x:.2g}" for x in row["quartiles"]),
        ),
        ("segments with any, %", lambda row: f"{100 * row['reached']:.1f}"),
        ("range of the runs", of_runs),
        (f"times {reference}", only(lambda row: f"{row['factor']:.3g}")),
        (f"{100 * level:g} % interval", only(interval)),
    )


def draw(args, groups):
    from dsl.analysis import gradient_norms
    from dsl.system import pictures
    from language_modeling import figures

    curves = [
        (group["name"], [gradient_norms.normalized(x) for x in group["norms"]])
        for group in groups
    ]
    figure = figures.gradients(curves)
    lacking = pictures.save(figure, args.figure, dpi=figures.DPI)
    said = pictures.in_words(lacking)
    output.result(messages.one_line(f"{args.figure}: written{said}"))
