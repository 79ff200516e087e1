"""Broken inputs for the command lines, and what must be said of each.

A case is data: the words of a command line, and how the folder that it runs
in is broken before. Whole, that folder holds

    data/       a small text in the three files of the Penn Treebank
    text.txt    a text of the user's
    runs/run    a finished run with an agent; runs/other is a copy of it
    runs/open   the same, but for its end: it can be gone on with
    runs/plain  a finished run without an agent
    numbers/    a few examples of number prediction

A program that fails changes nothing at all there, nor beside it; one that does
what it was told changes what its case tells in `writes`. The number of the
process in the file `lock` of a run is all that may change besides.
"""

from broken_inputs import (
    archives,
    checkpoints,
    data,
    ends,
    environment,
    flags,
    folders,
    kept,
    links,
    special_files,
    tables,
    texts,
)
from broken_inputs.case import (  # noqa: F401
    COMPARE,
    DIGITS,
    HUGE,
    LONG,
    PLAIN,
    PRODUCE,
    RED,
    RESUME,
    TINY,
)
from broken_inputs.damage import as_array, bombs, header  # noqa: F401

GENERATORS = (
    flags.integers,
    flags.numbers,
    flags.choices,
    flags.words,
    flags.together,
    folders.run_names,
    folders.train_dirs,
    data.data,
    data.own_data,
    folders.configs,
    folders.run_folders,
    folders.odd_names,
    checkpoints.checkpoints,
    texts.texts,
    texts.figures,
    tables.tables,
    tables.comparisons,
    kept.kept,
    special_files.special_files,
    special_files.packed_special_files,
    links.links,
    archives.archives,
    archives.forgeries,
    environment.environment,
    ends.interrupts,
    ends.streams,
)


def cases():
    """All cases."""
    return [case for generator in GENERATORS for case in generator()]
