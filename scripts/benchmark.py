"""Times training steps, ours beside others'.

Of language models, and of number prediction. Each step is the whole of it:
forward, backward, clipping where there is any, and update. All
implementations of a table take turns, on the processor, in one process for
each number of cores. KERAS_BACKEND chooses tensorflow (default) or jax.
PyTorch takes part where it is installed.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import argparse
import importlib.util
import shlex
import time
from pathlib import Path

from benchmarking import plan, report, timing

from dsl.experiment import command_line
from dsl.experiment.task import ROOT
from dsl.runs import results
from dsl.system import startup


def make_parser():
    parser = command_line.Parser(
        description=command_line.description(__file__),
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        choices=list(plan.SIZES),
        default=list(plan.SIZES),
        help="language models: 2x200, 20 steps; 2x650, 35 steps, dropout 0.5; "
        "number prediction: 1x200, 11 steps (default: all)",
    )
    parser.add_argument(
        "--rounds",
        type=command_line.count,
        default=15,
        metavar="N",
        help="timed steps of each implementation (default: %(default)s)",
    )
    parser.add_argument(
        "--cores",
        nargs="+",
        choices=["one", "all"],
        default=["one", "all"],
        help="how many cores all share (default: one, then all)",
    )
    parser.add_argument(
        "--growth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also time growing K and T, at the last language model of the "
        "sizes, and of number prediction",
    )
    parser.add_argument(
        "--out",
        type=command_line.writable,
        default=str(ROOT / "results" / "benchmark.json"),
        metavar="FILE",
        help="the record (default: results/benchmark.json)",
    )
    return parser


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    try:
        args.backend = startup.check_keras()
    except startup.StartupError as error:
        parser.error(str(error))
    return args


@entry.program
def main(args):
    available = len(timing.available_cores())
    cores = {"one": 1, "all": available}
    jobs = plan.jobs(
        sizes=[plan.SIZES[name] for name in dict.fromkeys(args.sizes)],
        cores=list(dict.fromkeys(cores[name] for name in args.cores)),
        rounds=args.rounds,
        with_growth=args.growth,
        with_torch=importlib.util.find_spec("torch") is not None,
        # Without XLA, Keras runs JAX one operation at a time.
        with_uncompiled=args.backend != "jax",
    )
    return run(args, jobs)


def run(args, jobs):
    started = time.perf_counter()
    tables = [timing.run(job, args.backend) for job in jobs]
    record = {
        **facts(args),
        "seconds": time.perf_counter() - started,
        "tables": [report.summarize(table) for table in tables],
    }
    results.save(record, args.out)
    print(report.render(record))
    return 0


def facts(args):
    """What a reader needs to know about where the times were taken."""
    from importlib import metadata

    from dsl.runs import provenance

    versions = provenance.versions()
    if importlib.util.find_spec("torch") is not None:
        versions["torch"] = metadata.version("torch")
    return {
        "task": "benchmark",
        "command": shlex.join(["python", *sys.argv]),
        "backend": args.backend,
        "rounds": args.rounds,
        "machine": {
            "cpu": cpu_model(),
            "cores": len(timing.available_cores()),
        },
        "versions": versions,
        "commit": provenance.commit(ROOT),
    }


def cpu_model(path="/proc/cpuinfo"):
    """The name of the processor as Linux gives it, or else as Python does."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    import platform

    return platform.processor() or platform.machine()
