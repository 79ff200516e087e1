"""The tables of the copy task: what is run for them, and their columns."""

import statistics

from copy_task import settings
from dsl.experiment import plan, tables
from dsl.experiment.flags import CALL, MEASURING, SEED, SHOWING, WHERE
from dsl.experiment.measures import Measure
from dsl.experiment.plan import Column, Plan, Table

BITS = Measure(
    "bits_per_sequence",
    "bits a sequence",
    digits=3,
    floor=0.0,
    over="sequences",
)
EXACT = Measure(
    "exact",
    "exact",
    unit="%",
    scale=100,
    digits=1,
    ceiling=1.0,
    over="sequences",
)
LENGTHS = (10, 20, 40, 120)
"""Those of the published pictures."""
# More epochs, and more of them with few vectors; evenly from the start.
LONGER = "--first_epochs 20 --epochs 55 --decay_epochs 55 --previous_bias 0"

TABLES = {
    "lengths": Table(
        "",
        {
            "published": Plan("--preset published"),
            "lstm-best": Plan("--preset best"),
            "lstm-small": Plan("--preset agent --model lstm"),
            "attention": Plan("--preset agent --model attention"),
            # The paper's agent, by the paper's scores.
            "location": Plan("--preset agent --scoring location"),
            "key": Plan(f"--preset agent --scoring key {LONGER}"),
            "moves": Plan("--preset agent", (1, 2, 3)),
        },
    ),
}
# Of the published code; its pictures hold one sequence a length.
SOURCE = "github.com/ajithcodesit/lstm_copy_task, training loss where it stops"


def reference(args):
    """What a record holds of the data, and what it is held to."""
    words = f"copies of {args.min_length} to {args.max_length} vectors"
    if args.bits != 8:
        words += f" of {args.bits} bits"
    if args.delay:
        words += f", {args.delay} steps later"
    flags = settings.FLAGS
    free = flags.names(WHERE, SEED, CALL, SHOWING, MEASURING) | {"preset"}
    same = args.preset == "published" and args.given <= free
    found = {"train_loss": 0.008, "source": SOURCE} if same else {}
    return {"corpus": words, "published": found}


def of_length(measured, length):
    """What was measured at one length, by the names of a whole split."""
    end = f"_{length}"
    return {
        key.removesuffix(end): value
        for key, value in measured.items()
        if key.endswith(end)
    }


def columns(rows):
    """The columns of a table, see `plan.render`."""
    records = plan.of_records

    def exact(length):
        return records(lambda some: EXACT.cell(some, suffix=f"_{length}"))

    def exact_with_interval(length):
        return records(
            lambda some: (
                EXACT.cell(some, suffix=f"_{length}")
                + (_interval(some[0], length) if len(some) == 1 else "")
            ),
            "not run",
        )

    def other(key, length, scale, digits):
        return records(
            lambda some: tables.over_seeds(
                some, "test", f"{key}_{length}", scale, digits
            )
        )

    found = [
        Column("row", lambda row: row.name, brief=True),
        Column("model", lambda row: row.model),
        Column("layers", lambda row: str(row.settings["rnn_layers"])),
        Column("published loss", _published),
        Column("loss as published", records(_loss), brief="loss"),
    ]
    for length in LENGTHS:
        found += [
            Column(f"exact at {length}, %", exact_with_interval(length)),
            Column(f"exact, {length}", exact(length), brief=True, full=False),
        ]
    for length in LENGTHS:
        found += [
            Column(
                f"bit errors at {length}, %",
                other("bit_errors", length, 100, 2),
            ),
            Column(
                f"bits a sequence at {length}",
                other("bits_per_sequence", length, 1, 3),
            ),
        ]
    return [
        *found,
        Column("exact, trained lengths, %", records(EXACT.cell)),
        Column("seeds", plan.seeds),
        Column("epochs", records(lambda some: f"{plan.epochs(some):.0f}")),
        Column("time (cores)", records(plan.minutes)),
        Column("min", records(_minutes), brief=True, full=False),
    ]


def _published(row):
    value = tables.number(
        {"published": row.published}, "published", "train_loss"
    )
    return "-" if value is None else f"{value:.4f}"


def _loss(records):
    return tables.over_seeds(records, "test", "published_loss", digits=4)


def _minutes(records):
    mean = statistics.fmean(record["seconds"] for record in records)
    return f"{mean / 60:.0f}"


def _interval(record, length):
    """The interval of the share of exact answers over sequences, in percent."""
    low = tables.number(record, "test", f"exact_low_{length}")
    high = tables.number(record, "test", f"exact_high_{length}")
    if None in (low, high):
        return ""
    return f" [{100 * low:.1f}, {100 * high:.1f}]"


def figures(name, rows):
    """The pictures of a table, see `task.Task`."""
    from copy_task import figures

    return figures.of_rows(rows)
