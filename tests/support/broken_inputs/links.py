"""Links in run folders, and what others have put there.

In `mine/` and in files beside it lies what is the user's: no program changes
it, whether it takes or refuses what leads there.
"""

from broken_inputs.case import (
    COMPARE,
    DONE,
    KEEP,
    PRODUCE,
    RESUME,
    Case,
)
from broken_inputs.damage import both, link, link_within, make_folder, write

NOTES = write("mine/notes.txt", "of the user's\n")
# What a link can lead to.
TARGETS = {
    "a file": lambda path: link_within(path, "mine/notes.txt"),
    "a folder": lambda path: link_within(path, "mine"),
    "nothing": lambda path: link_within(path, "mine/nothing"),
    "a lock of another run": lambda path: link_within(path, "runs/run/lock"),
}
# All that a run writes of its own.
WRITTEN = (
    "metrics.jsonl",
    "metrics.csv",
    "result.json",
    "test_scores.npz",
    "checkpoints/last.npz",
    "checkpoints/best.npz",
    "checkpoints/restart.npz",
)
# Names like those of what a program makes on the way, which others may have.
NEARLY = (
    ".config.json.tmp",
    ".config.json.12x.tmp",
    ".notes.txt.12.tmp",
    ".notes.txt.0123456789abcdef.tmp",
    "config.json.12.tmp",
    ".config.json.0123456789abcdef.tmp.txt",
    ".result.json.0123456789ABCDEF.tmp",
    "checkpoints/.last.npz.tmp",
    "checkpoints/.mine.npz.12.tmp",
    "checkpoints/last.npz.bak",
    "events/events.out.tfevents.mine",
    "result-1.json",
    "notes.txt",
)
UNFINISHED = ".new.0123456789abcdef.new"


def links():
    yield from _locks()
    yield from _results()
    yield from _neighbours()
    yield from _unfinished()
    yield from _outputs()


def _case(name, arguments, code, damage, *says, **more):
    damage = both(NOTES, damage)
    return Case(
        "link", name, list(arguments), code, says, damage=damage, **more
    )


def _locks():
    """Of a run that is done, and of one that goes on."""
    for arguments, run in ((DONE, "plain"), (RESUME, "open")):
        path = f"runs/{run}/lock"
        for name, damage in TARGETS.items():
            yield _case(f"{path}, to {name}", arguments, 2, damage(path), path)
        for name, content in (
            ("of another program", b"lock of the user's\n"),
            ("of bytes", bytes(range(256)) * 99),
            ("of many digits", b"9" * 5000),
            ("of lines", b"1\n2\n"),
        ):
            damage = write(path, content)
            yield _case(f"{path}, {name}", arguments, 2, damage, path)
        for part in ("checkpoints", "events"):
            for name in ("a folder", "nothing"):
                path = f"runs/{run}/{part}"
                damage = TARGETS[name](path)
                yield _case(f"{path}, to {name}", arguments, 2, damage, run)


def _results():
    """What a run that ends would write, a link each."""
    for scores, table in (("a file", "nothing"), ("a folder", "a file")):
        # Not read before, both are replaced.
        yield _case(
            f"scores, to {scores}; table, to {table}",
            RESUME,
            0,
            both(
                TARGETS[scores]("runs/open/test_scores.npz"),
                TARGETS[table]("runs/open/metrics.csv"),
            ),
            writes=("runs/open/*",),
        )
    for path in WRITTEN:
        for name, damage in TARGETS.items():
            path_there = f"runs/plain/{path}"
            yield _case(
                f"{path_there}, to {name}",
                DONE,
                (0, 1, 2),
                damage(path_there),
                writes=("runs/plain/*",),
            )


def _neighbours():
    """Files of others, beside those of a run."""
    for path in NEARLY:
        for name, content in (("", b"of the user's\n"), ("empty, ", b"")):
            yield _case(
                f"{name}{path}",
                DONE,
                0,
                write(f"runs/plain/{path}", content),
            )
    path = "runs/plain/.config.json.12.tmp"
    for name, damage in TARGETS.items():
        yield _case(f"{path}, to {name}", DONE, 0, damage(path))
    yield _case(f"{path}, a folder", DONE, 0, make_folder(path))


def _unfinished():
    """What looks like a folder that a killed program was making."""
    for name, damage in (
        ("a file of the user's", write("notes.txt", "of the user's\n")),
        ("a file more", write("checkpoints/notes.txt", "of the user's\n")),
        ("a folder of the user's", make_folder("mine")),
        ("a link to a file", link("config.json", "../../mine/notes.txt")),
        ("a link to a folder", link("checkpoints", "../../mine")),
        ("a lock of another program", write("lock", "of the user's\n")),
        ("a lock that is a link", link("lock", "../../mine/notes.txt")),
        ("an unfinished file of others", write(".notes.txt.1.tmp", "")),
    ):
        for start in ("runs", "."):
            arguments = DONE if start == "runs" else KEEP
            parts = {} if start == "runs" else {"writes": ("kept", "kept/*")}

            def within(folder, damage=damage, start=start):
                damage_at = folder / start / UNFINISHED
                damage_at.mkdir()
                damage(damage_at)

            yield _case(
                f"{start}/{UNFINISHED}, {name}",
                arguments,
                0,
                within,
                program="RL_train" if start == "runs" else "keep",
                **parts,
            )
    for name in ("a file", "a folder", "nothing"):
        path = f"runs/{UNFINISHED}"
        yield _case(f"{path}, it leads to {name}", DONE, 0, TARGETS[name](path))


def _outputs():
    """Where other programs write."""
    for name, damage in TARGETS.items():
        yield _case(
            f"kept, to {name}",
            KEEP,
            1,
            damage("kept"),
            "kept: exists already",
            program="keep",
        )
        path = "numbers/num_train3_1.npz"
        # A link in its place is replaced, and not what it leads to.
        yield _case(
            f"{path}, to {name}",
            PRODUCE,
            (0, 2),
            damage(path),
            program="produce_data",
            writes=(path,),
        )
        yield _case(
            f"{path}, to {name}, replaced",
            [*PRODUCE, "--force"],
            (0, 2),
            damage(path),
            program="produce_data",
            writes=(path,),
        )
        yield _case(
            f"numbers/.lock, to {name}",
            [*PRODUCE, "--seed", "1", "--force"],
            1,
            damage("numbers/.lock"),
            "numbers/.lock",
            program="produce_data",
        )
        yield _case(
            f"compare --figure, to {name}",
            [*COMPARE, "--figure", "x.png"],
            2 if name in ("nothing", "a folder") else 0,
            damage("x.png"),
            program="compare",
            writes=("x.png",),
        )
