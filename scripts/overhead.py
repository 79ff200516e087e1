"""Times what progress, checkpoints and metrics add to an epoch of training.

python scripts/overhead.py --steps 1000 -- --preset small

An epoch of the training loop with all that it writes, but for the validation.
The clock runs where something is written or printed, so that what else the
machine does meanwhile tells on both parts alike.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import tempfile
import time

from dsl.experiment import command_line


def make_parser():
    parser = command_line.Parser(
        description=command_line.description(__file__, 1),
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 data missing or "
        "wrong, 130 interrupted.",
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


def parse_args(arguments=None):
    return make_parser().parse_args(arguments)


@entry.program
def main(args):
    from dsl.system import startup
    from language_modeling import RL_train, saved_runs, settings

    startup.check_keras()
    flags = settings.parse_args(args.flags)
    corpus = saved_runs.read_corpus(flags, print)
    RL_train.check_lengths(flags, corpus)
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
    from dsl.runs.folder import RunFolder
    from dsl.training import loop, reporting, schedules
    from language_modeling import experiment

    clock = Clock()
    report = reporting.ProgressReport(
        print, flags.print_every, experiment.teller(flags, trainer)
    )

    def finish_epoch(trained):
        return experiment.summary(flags, trained, 1.0)

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(folder, "run", {"settings": {}})
        schedule = schedules.Schedule(flags.learning_rate, 1.0)
        progress = loop.resume(trainer, run, schedule)
        for writer, name in (
            (run, "save_last"),
            (run, "save_best"),
            (run.restart, "keep"),
            (run.restart, "forget_divergence"),
            (run, "write_metrics"),
        ):
            setattr(writer, name, clock.timed(getattr(writer, name)))
        started = time.perf_counter()
        loop.fit(
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
