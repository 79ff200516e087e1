"""Makes the three files of number prediction.

python number_prediction/produce_data.py --length 20

The same command again makes the same bytes. A file that holds anything else is
left alone, unless --force is given.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from dsl.experiment import entry

if __name__ == "__main__":
    entry.run(__file__)

from pathlib import Path

from dsl.experiment import output
from dsl.experiment.command_line import count as size
from dsl.experiment.command_line import name
from dsl.experiment.command_line import seed as draw
from dsl.experiment.flags import Flags, Group, flag
from dsl.system import messages
from number_prediction.settings import Sequences

# Of all examples: drawn, and the largest split read back and unpacked.
COPIES = 4


class Files(Group):
    """Files."""

    train = flag(100_000, size, "N")
    """Training examples (paper, by report of others: 100,000)."""
    valid = flag(10_000, size, "N")
    """Validation examples (paper, by report: 10,000; published code: none)."""
    test = flag(10_000, size, "N")
    """Test examples (paper, by report: 10,000; published code: 1,000 of
    100,000)."""
    seed = flag(3435, draw)
    """Seed of all examples."""
    out_dir = flag("data/number_prediction", name, "DIR")
    """Folder of the files, made if it is missing."""
    force = flag(False, action="store_true")
    """Replace files that hold something else."""


FLAGS = Flags((Sequences, Files))


def make_parser():
    return FLAGS.make_parser(
        prog="produce_data.py",
        description="Draws training, validation and test examples of number "
        "prediction: digits, a pointer, and the digit that it points to.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, or a file holds "
        "something else, 130 interrupted.",
    )


def parse_args(arguments=None):
    return FLAGS.parse(make_parser(), arguments)


@entry.program
def main(args):
    """Draws, looks at what is there, and writes what is not."""
    from dsl.datasets import numbers

    settings = numbers.Settings(
        length=args.length,
        index_from=args.index_from,
        symbols=args.symbols,
        seed=args.seed,
    )
    counts = {"train": args.train, "valid": args.valid, "test": args.test}
    fault = size_fault(settings, counts) or folder_fault(args.out_dir)
    if fault is not None:
        return entry.fail("produce_data.py", fault, 2)
    drawn = {
        split: numbers.draw(settings, split, count)
        for split, count in counts.items()
    }
    there, fault = look(args, drawn)
    # Where nothing is missing, the folder may be one to read alone.
    if fault is None and not all(there.values()):
        with numbers.writing(args.out_dir, output.note):
            # Another process may have written meanwhile.
            there, fault = look(args, drawn)
            for split, examples in drawn.items():
                if fault is None and not there[split]:
                    numbers.save(path_of(args, examples), examples)
    if fault is not None:
        return entry.fail("produce_data.py", fault, 2)
    for split, examples in drawn.items():
        tell(
            f"{path_of(args, examples)}: {len(examples):,} examples, sha256 "
            f"{examples.sha256}, {'unchanged' if there[split] else 'written'}"
        )
    for split in ("valid", "test"):
        same, chance = numbers.overlap(drawn["train"], drawn[split])
        expected = f"{chance:,.0f}" if chance >= 10 else f"{chance:.2g}"
        tell(
            f"{split}: {same:,} of {counts[split]:,} examples also stand in "
            f"train; chance gives {expected}"
        )
    return 0


def tell(line):
    """Prints a line, in which a name may stand that commands a terminal."""
    output.result(messages.one_line(line))


def size_fault(settings, counts):
    """Says which split is too large, if one is."""
    from dsl.datasets import numbers
    from dsl.runs import provenance

    most = numbers.MOST_BYTES
    for split, count in counts.items():
        if settings.bytes_of(count) > most:
            return (
                f"argument --{split}: must be at most "
                f"{most // settings.bytes_of(1):,} with --length "
                f"{settings.length}. Received: {count:,}"
            )
    needed = COPIES * sum(map(settings.bytes_of, counts.values()))
    memory = provenance.memory()
    if memory is not None and needed > memory:
        return (
            "argument --length, --train, --valid, --test: must fit into "
            f"{memory >> 20:,} MiB of memory. Received: what needs "
            f"{needed >> 20:,} MiB"
        )
    return None


def folder_fault(folder):
    """Makes the folder; says why it cannot be one, if it cannot."""
    try:
        if os.path.isdir(folder) or not os.path.lexists(folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
            return None
    except ValueError:  # No name that a system knows.
        pass
    return f"argument --out_dir: must be a folder. Received: {folder!r}"


def path_of(args, examples):
    """The file of a split."""
    from dsl.datasets import numbers

    name = numbers.file_name(examples.settings, examples.split)
    return Path(args.out_dir) / name


def look(args, drawn):
    """Which splits are there already, and what must not be replaced."""
    there = {}
    for split, examples in drawn.items():
        path = path_of(args, examples)
        there[split], fault = find(path, examples)
        if fault is not None and not args.force:
            return there, f"{path}: {fault}; --force replaces it."
    return there, None


def find(path, examples):
    """Whether a file holds these examples, and what it holds instead."""
    from dsl.datasets import DataError, numbers

    if not os.path.lexists(path):
        return False, None
    try:
        found = numbers.load(path, examples.split, examples.settings)
    except DataError as error:
        return False, f"is there and holds something else ({error})"
    if found.sha256 == examples.sha256:
        return True, None
    return False, (
        f"holds {len(found):,} examples of --seed {found.settings.seed}, and "
        f"would hold {len(examples):,} of {examples.settings.seed}"
    )
