"""What is no regular file, or has no end, in the place of one that is read."""

from broken_inputs.case import (
    COMPARE,
    GRADIENTS,
    KEEP,
    LOAD,
    MEASURE,
    NEW,
    NUMBERS,
    RESUME,
    TABLE,
    Case,
)
from broken_inputs.damage import (
    both,
    link,
    link_within,
    move,
    pipe,
    socket,
    sparse,
)

_LONG = 2**40  # bytes, of which the disk holds none

DAMAGES = {
    "a pipe": lambda path: pipe(path),
    "a link to a pipe": lambda path: both(
        pipe("pipe"), link_within(path, "pipe")
    ),
    "a socket": lambda path: socket(path),
    "a link to a device": lambda path: link(path, "/dev/zero"),
    "a link to another device": lambda path: link(path, "/dev/full"),
}
# Who reads which file, with the code at its end.
READERS = (
    *(
        ("RL_train", arguments, code, path)
        for arguments, code, paths in (
            (
                LOAD,
                2,
                ("runs/run/config.json", "runs/run/checkpoints/best.npz"),
            ),
            (
                RESUME,
                2,
                (
                    "runs/open/config.json",
                    "runs/open/checkpoints/last.npz",
                    "runs/open/checkpoints/best.npz",
                ),
            ),
            (RESUME, 1, ("runs/open/result.json",)),
            (NEW, 3, [f"data/ptb.{x}.txt" for x in ("train", "valid", "test")]),
            ([*MEASURE, "--text", "text.txt"], 3, ("text.txt",)),
        )
        for path in paths
    ),
    ("table", TABLE, 1, "runs/other/result.json"),
    *(
        ("compare", COMPARE, 1, f"runs/other/{name}")
        for name in (
            "result.json",
            "config.json",
            "metrics.jsonl",
            "test_scores.npz",
        )
    ),
    *(
        ("keep", KEEP, 1, f"runs/run/{name}")
        for name in (
            "result.json",
            "config.json",
            "metrics.jsonl",
            "test_scores.npz",
        )
    ),
    *(
        ("gradient_norms", GRADIENTS, 2, f"runs/run/{name}")
        for name in ("config.json", "checkpoints/best.npz")
    ),
    ("gradient_norms", GRADIENTS, 3, "data/ptb.test.txt"),
    *(
        ("train_RL10_1", NUMBERS, 3, f"numbers/num_{split}3_1.npz")
        for split in ("train", "valid", "test")
    ),
)


def special_files():
    for program, arguments, code, path in READERS:
        for name, damage in DAMAGES.items():
            yield Case(
                "special file",
                f"{program}, {arguments[-1]}, {path}, {name}",
                list(arguments),
                code,
                (path, "not a regular file"),
                program,
                damage(path),
            )
        yield Case(
            "special file",
            f"{program}, {arguments[-1]}, {path}, far too large",
            list(arguments),
            code,
            (path,),
            program,
            sparse(path, _LONG),
        )


def packed_special_files():
    """Packed forms of a text, which are looked for beside it."""
    for ending in ("gz", "xz"):
        for name, damage in DAMAGES.items():
            path = "own/train.txt"
            yield Case(
                "special file",
                f"own, {ending}, {name}",
                [*NEW, "--data_dir", "own"],
                3,
                (f"{path}.{ending}", "not a regular file"),
                damage=both(
                    move("data/ptb.train.txt", "own/valid.txt"),
                    move("data/ptb.test.txt", "own/test.txt"),
                    damage(f"{path}.{ending}"),
                ),
            )
