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

from dsl import choices
from dsl.experiment import command_line, output
from dsl.system import messages

# Of all examples: drawn, and the largest split read back and unpacked.
COPIES = 4


def make_parser():
    parser = command_line.Parser(
        prog="produce_data.py",
        description="Draws training, validation and test examples of number "
        "prediction: digits, a pointer, and the digit that it points to.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, or a file holds "
        "something else, 130 interrupted.",
        allow_abbrev=False,
        formatter_class=command_line.HelpFormatter,
    )
    add = parser.add_argument
    add(
        "--length",
        type=command_line.number(int, 1, choices.MOST_LENGTH),
        default=10,
        metavar="N",
        help="digits before the pointer; paper: 10 and 20 (T = 11 and 21)",
    )
    add(
        "--index_from",
        choices=choices.INDEX_FROM,
        default="last10",
        help="where pointer 0 points: to the first of the last --symbols "
        "digits, as in the published program for the data, or to the start, "
        "as in the published picture; the same where --length is at most "
        "--symbols",
    )
    add(
        "--symbols",
        type=command_line.number(int, 2, choices.MOST_SYMBOLS),
        default=10,
        metavar="N",
        help="size of the alphabet; published code: 10",
    )
    for split, count, published in (
        ("train", 100_000, ""),
        ("valid", 10_000, "; published code: none"),
        ("test", 10_000, "; published code: 1,000 of 100,000"),
    ):
        add(
            f"--{split}",
            type=command_line.count,
            default=count,
            metavar="N",
            # As secondary sources report it.
            help=f"{split} examples; paper, by report: {count:,}{published}",
        )
    add(
        "--seed",
        type=command_line.seed,
        default=3435,
        help="seed of all examples",
    )
    add(
        "--out_dir",
        type=command_line.name,
        default="data/number_prediction",
        metavar="DIR",
        help="folder of the files, made if it is missing",
    )
    add(
        "--force",
        action="store_true",
        help="replace files that hold something else",
    )
    return parser


def parse_args(arguments=None):
    return make_parser().parse_args(arguments)


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
