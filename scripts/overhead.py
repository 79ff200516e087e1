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

from dsl.experiment import command_line, output


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
    from language_modeling.task import TASK

    startup.check_keras()
    flags = TASK.parse(args.flags)
    output.set_verbosity(flags.verbosity)
    corpus = TASK.load(flags, output.note)
    TASK.check(flags, corpus)
    startup.import_keras().utils.set_random_seed(flags.seed)
    model, trainer = TASK.build(flags, corpus)
    segments = TASK.batches(flags, corpus)(1)
    data = [segments[n] for n in range(min(args.steps, len(segments)))]
    trainer.train_on_batch(*data[0])  # compiles
    whole, written = train(TASK, model, trainer, data, flags)
    output.result(
        f"{len(data)} steps: {whole - written:.1f} s, and {written:.2f} s for "
        f"all that is written: {100 * written / (whole - written):.2f} %"
    )
    return 0


def train(task, model, trainer, data, flags):
    """One epoch as RL_train.py runs it, without a validation.

    Returns:
        Seconds in all, and of them those for what is written.
    """
    from dsl.experiment.report import Report
    from dsl.runs.folder import RunFolder
    from dsl.training import loop
    from language_modeling.task import summary

    clock = Clock()

    def finish_epoch(trained):
        return summary(flags, trained, 1.0)

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(folder, "run", {"settings": {}})
        schedule = task.schedule(flags)
        progress = loop.resume(trainer, run, schedule)
        for writer, name in (
            (run, "save_last"),
            (run, "save_best"),
            (run.restart, "keep"),
            (run.restart, "forget_divergence"),
            (run, "write_metrics"),
        ):
            setattr(writer, name, clock.timed(getattr(writer, name)))
        with Report(task, flags, run, trainer, progress) as report:
            started = time.perf_counter()
            loop.fit(
                trainer,
                model,
                lambda epoch: data,
                clock.timed(finish_epoch),
                schedule,
                run,
                progress,
                monitor=task.measure.monitor,
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
