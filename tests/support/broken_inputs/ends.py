"""Programs that are interrupted, or whose output nobody takes."""

import os
import signal

from broken_inputs.case import (
    COMPARE,
    DONE,
    GRADIENTS,
    KEEP,
    LOAD,
    MEASURE,
    NEW,
    NUMBERS,
    OVERHEAD,
    PRODUCE,
    RESUME,
    TABLE,
    Case,
)
from broken_inputs.environment import QUICK
from dsl.system import regular_files

FULL = "No space left on device"
# How the standard streams of a program are, its exit code, and what it says.
STREAMS = (
    ('"$@" >&-', 0, ()),
    ('"$@" 2>&-', 0, ()),
    ('"$@" <&-', 0, ()),
    ('"$@" <&- >&- 2>&-', 0, ()),
    ('"$@" > /dev/full', 1, (FULL,)),
    ('"$@" 2> /dev/full', 0, ()),
    # The reader is gone when the first line comes.
    ('set -o pipefail; { sleep 0.3; "$@"; } | true', 141, ()),
)
# Each program, and how many files it opens at least.
READING = (
    ("RL_train", NEW, 3),
    ("RL_train", RESUME, 4),
    ("RL_train", LOAD, 4),
    ("RL_train", DONE, 4),
    ("RL_train", [*MEASURE, "--text", "text.txt"], 4),
    ("table", TABLE, 2),
    ("compare", COMPARE, 4),
    ("keep", KEEP, 4),
    ("gradient_norms", GRADIENTS, 4),
    ("overhead", OVERHEAD, 3),
    ("train_RL10_1", NUMBERS, 3),
    ("produce_data", PRODUCE, 3),
)


def at_file(count, number):
    """Sends a signal when so many files have been opened."""

    def around(folder, patch):
        opened = []
        whole = regular_files.os.open

        def interrupted(path, *more, **options):
            opened.append(path)
            if len(opened) == count:
                os.kill(os.getpid(), number)
            return whole(path, *more, **options)

        patch.setattr(regular_files.os, "open", interrupted)

    return around


def interrupts():
    for program, arguments, most in READING:
        for number in (signal.SIGINT, signal.SIGTERM):
            for count in range(1, most + 1):
                yield Case(
                    "interrupt",
                    f"{program} {' '.join(arguments[-3:])}, {number.name} "
                    f"at file {count}",
                    list(arguments),
                    130,
                    ("interrupted",),
                    program,
                    around=at_file(count, number),
                )


def streams():
    for program, arguments, writes in QUICK:
        for shell, code, says in STREAMS:
            if program == "keep":  # It has nothing to say.
                code, says = 0, ()
            yield Case(
                "output",
                f"{program} {shell}",
                list(arguments),
                code,
                says,
                program,
                writes=writes,
                shell=shell,
            )
