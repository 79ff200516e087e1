"""Times what progress, checkpoints, metrics and histograms add to training.

python scripts/overhead.py --steps 1000 -- --preset small

Both ways take the same steps in turns: a bare loop of train_on_batch, and the
whole training loop with all that it writes, but for the validation.
"""

import statistics
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
        "--rounds",
        type=command_line.count,
        default=3,
        help="epochs of each way (default: %(default)s)",
    )
    parser.add_argument(
        "flags", nargs="*", help="of language_modeling/RL_train.py, after --"
    )
    return parser


def main(args):
    from dsl import datasets, startup
    from language_modeling import settings

    flags = settings.parse_args(args.flags)
    try:
        corpus = datasets.language_model_corpus(flags.data_dir, log=print)
    except datasets.DataError as error:
        print(f"overhead.py: {error}", file=sys.stderr)
        return 3
    startup.import_keras().utils.set_random_seed(flags.seed)
    from language_modeling import experiment

    model = experiment.build_model(flags, len(corpus.vocabulary))
    trainer = experiment.build_trainer(flags, model)
    rows = datasets.streams.batch(corpus.train, flags.batch_size)
    segments = datasets.streams.Segments(rows, flags.num_unroll_steps)
    data = [segments[n] for n in range(min(args.steps, len(segments)))]
    bare(trainer, data[:5])  # compiles
    times = {bare: [], whole: []}
    for number in range(args.rounds):
        for way, found in times.items():
            started = time.perf_counter()
            way(trainer, data, flags)
            found.append(time.perf_counter() - started)
            print(f"round {number + 1}: {way.__name__} {found[-1]:.1f} s")
    added = statistics.median(
        full / plain - 1.0
        for plain, full in zip(times[bare], times[whole], strict=True)
    )
    print(f"added by all that is written: {100 * added:.1f} % of the training")
    return 0


def bare(trainer, data, flags=None):
    """Nothing but the steps."""
    trainer.begin_epoch()
    for x, y in data:
        float(trainer.train_on_batch(x, y))


def whole(trainer, data, flags):
    """The training loop as RL_train.py runs it, without a validation."""
    from dsl import reporting, runs, schedules, training
    from language_modeling import experiment

    tokens = flags.batch_size * flags.num_unroll_steps
    report = reporting.ProgressReport(
        print, flags.print_every, trainer.read_statistics, tokens
    )

    def finish_epoch(trained):
        return experiment.summary(flags, trained, 1.0)

    with tempfile.TemporaryDirectory() as folder:
        run = runs.RunFolder.create(folder, "run", {"settings": {}})
        schedule = schedules.Schedule(flags.learning_rate, 1.0)
        training.fit(
            trainer,
            trainer.language_model,
            lambda epoch: data,
            finish_epoch,
            schedule,
            run,
            training.resume(trainer, run, schedule),
            monitor="valid_perplexity",
            max_epochs=1,
            checkpoint_every=flags.checkpoint_every,
            on_step=report.on_step,
        )
        run.close()


if __name__ == "__main__":
    sys.exit(main(make_parser().parse_args()))
