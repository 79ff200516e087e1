"""Times what progress, checkpoints and metrics add to an epoch of training.

python scripts/overhead.py --steps 1000 -- --preset small

An epoch of the training loop with all that it writes, but for the validation.
The clock runs where something is written or printed, so that what else the
machine does meanwhile tells on both parts alike.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import command_line  # noqa: E402


def make_parser():
    parser = command_line.Parser(
        description=__doc__.splitlines()[0],
        epilog="Exit codes: 0 done, 2 usage, 3 data missing or wrong.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--steps",
        type=command_line.count,
        default=1000,
        help="of an epoch (default: %(default)s)",
    )
    parser.add_argument(
        "flags", nargs="*", help="of language_modeling/RL_train.py, after --"
    )
    return parser


def main(args):
    from dsl import datasets, messages, runs, startup
    from language_modeling import RL_train, saved_runs, settings

    flags = settings.parse_args(args.flags)
    try:
        corpus = saved_runs.read_corpus(flags, print)
        RL_train.check_lengths(flags, corpus)
    except (datasets.DataError, runs.RunError) as error:
        print(f"overhead.py: {messages.one_line(error)}", file=sys.stderr)
        return 3 if isinstance(error, datasets.DataError) else 2
    startup.import_keras().utils.set_random_seed(flags.seed)
    from language_modeling import building, experiment

    model = building.build_model(
        flags, len(corpus.vocabulary), corpus.vocabulary
    )
    trainer = building.build_trainer(flags, model)
    segments = experiment.segments(flags, corpus.train)
    data = [segments[n] for n in range(min(args.steps, len(segments)))]
    trainer.train_on_batch(*data[0])  # compiles
    whole, written = train(trainer, data, flags)
    print(
        f"{len(data)} steps: {whole - written:.1f} s, and {written:.2f} s for "
        f"all that is written: {100 * written / (whole - written):.2f} %"
    )
    return 0


def train(trainer, data, flags):
    """One epoch as RL_train.py runs it, without a validation.

    Returns:
        Seconds in all, and of them those for what is written.
    """
    from dsl import reporting, runs, schedules, training
    from language_modeling import experiment

    clock = Clock()
    report = reporting.ProgressReport(
        print, flags.print_every, experiment.teller(flags, trainer)
    )

    def finish_epoch(trained):
        return experiment.summary(flags, trained, 1.0)

    with tempfile.TemporaryDirectory() as folder:
        run = runs.RunFolder.create(folder, "run", {"settings": {}})
        schedule = schedules.Schedule(flags.learning_rate, 1.0)
        progress = training.resume(trainer, run, schedule)
        for name in (
            "save_last",
            "save_best",
            "keep_restart",
            "note_sound",
            "write_metrics",
        ):
            setattr(run, name, clock.timed(getattr(run, name)))
        started = time.perf_counter()
        training.fit(
            trainer,
            trainer.language_model,
            lambda epoch: data,
            clock.timed(finish_epoch),
            schedule,
            run,
            progress,
            monitor="valid_perplexity",
            max_epochs=1,
            checkpoint_every=flags.checkpoint_every,
            on_step=clock.timed(report.on_step),
        )
        whole = time.perf_counter() - started
        run.close()
    return whole, clock.seconds


class Clock:
    """Sums the time that functions take."""

    def __init__(self):
        self.seconds = 0.0

    def timed(self, function):
        """The function, and its time on the clock."""

        def call(*args, **kwargs):
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started

        return call


if __name__ == "__main__":
    sys.exit(main(make_parser().parse_args()))
