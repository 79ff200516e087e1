"""Kills a training at random moments and compares it with an unbroken one.

python scripts/check_resume.py --kills 50 -- --preset small --max_steps 40
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

import hashlib
import random
import subprocess
import time
from pathlib import Path

from dsl.experiment import command_line, output
from dsl.experiment.task import find, names
from dsl.runs import results
from dsl.system import interrupts, messages
from dsl.system.regular_files import open_regular

# What a clock measures.
UNEQUAL = ("seconds", "valid_seconds")


def make_parser():
    parser = command_line.Parser(
        description=command_line.description(__file__, 1),
        epilog="Exit codes: 0 every run ended in the same bits, 1 one did "
        "not, or failed, 2 usage, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--task",
        choices=sorted(names()),
        default="language_modeling",
        help="whose program it is (default: %(default)s)",
    )
    parser.add_argument(
        "--kills",
        type=command_line.count,
        default=50,
        help="kills in all (default: 50)",
    )
    parser.add_argument(
        "--kills_a_run",
        type=command_line.count,
        default=3,
        help="kills of one run before it may finish (default: 3)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--train_dir", default="runs/check_resume", help="new folder"
    )
    parser.add_argument(
        "flags", nargs="*", help="of the program of the task, after --"
    )
    return parser


def parse_args(arguments=None):
    parser = make_parser()
    args = parser.parse_args(arguments)
    if Path(args.train_dir).exists():
        parser.error(f"--train_dir must be new. Received: {args.train_dir}")
    return args


@entry.program
def main(args):
    moments = random.Random(args.seed)
    started = time.perf_counter()
    finish(args, "unbroken")
    whole = time.perf_counter() - started
    expected = outcome(args, "unbroken")
    output.result(f"unbroken: {whole:.0f} s, {expected['last_weights']}")
    left, equal, number = args.kills, [], 0
    while left > 0:
        number += 1
        name = f"killed-{number}"
        kills = min(left, args.kills_a_run)
        hits = []
        while len(hits) < kills:
            # What is gone on with is nearer to its end than the whole.
            hit = kill(args, name, moments.uniform(0, 0.7 * whole))
            if hit is None:
                break
            hits.append(hit)
        finish(args, name)
        left -= len(hits)
        same = outcome(args, name) == expected
        equal.append(same)
        state = "same" if same else "DIFFERS"
        output.result(f"{name}: {'; '.join(hits)}: {state}")
    output.result(
        f"{args.kills - left} kills of {number} runs; {sum(equal)} ended in "
        f"the bits of the unbroken run, {number - sum(equal)} did not"
    )
    return int(not all(equal))


def command(args, name):
    """The training, or going on with it where it left a folder."""
    # Nobody reads progress here, and a pipe holds so much of it.
    flags = ["--verbosity", "error", *args.flags]
    flags += ["--train_dir", args.train_dir, "--name", name]
    if (Path(args.train_dir) / name).exists():
        flags.append("--resume")
    return [sys.executable, str(find(args.task).path), *flags]


def kill(args, name, seconds):
    """Starts or resumes a run, kills it after a time.

    Returns:
        What it left, in words; None if it was done before that.
    """
    with subprocess.Popen(
        command(args, name),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=interrupts.environment_of_child(),
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
        code = process.wait()
        said = process.stderr.read()
    check(name, code, said, (0, -9))
    return None if code == 0 else f"{seconds:.1f} s, {remains(args, name)}"


def remains(args, name):
    """What a killed run left behind, in words."""
    from dsl.runs import checkpoints

    folder = Path(args.train_dir) / name
    if not folder.exists():
        return "no folder"
    if (folder / results.FILE_NAME).exists():
        return "done"
    last = folder / "checkpoints" / "last.npz"
    if not last.exists():
        return "no checkpoint"
    progress = checkpoints.read_state(last)["progress"]
    return f"epoch {progress['epoch']} step {progress['step']}"


def finish(args, name):
    """Starts or resumes a run and waits for its end."""
    done = subprocess.run(
        command(args, name),
        capture_output=True,
        env=interrupts.environment_of_child(),
    )
    check(name, done.returncode, done.stderr, (0,))


def check(name, code, said, codes):
    """Raises a Failure, with what was said, at any other exit code."""
    if code not in codes:
        said = said.decode(errors="replace").strip()
        raise messages.Failure(f"{name}: exit code {code}: {said}")


def outcome(args, name):
    """All of a finished run that no clock or name has part in."""
    folder = Path(args.train_dir) / name
    record = results.load(folder)
    speed = f"{find(args.task).throughput}_per_second"

    def timeless(entry):
        return {k: v for k, v in entry.items() if k not in (*UNEQUAL, speed)}

    scores = None
    if (folder / results.SCORES_NAME).exists():
        with open_regular(folder / results.SCORES_NAME) as file:
            scores = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "last_weights": record["last_weights_sha256"],
        "best_weights": record["weights_sha256"],
        "metrics": [timeless(one) for one in results.load_metrics(folder)],
        "epochs": [timeless(entry) for entry in record["epochs"]],
        "test": timeless(record["test"]),
        "scores": scores,
    }
