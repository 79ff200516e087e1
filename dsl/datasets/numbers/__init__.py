"""Number prediction: a row of digits, and one more that points at one of them.

The last of T numbers is a pointer, and the label is what it points to:

    8 5 1 7 4  3  ->  7

See `data/README.md` for the files and where each convention comes from.
"""

from dsl.datasets.numbers.examples import (
    Examples,
    Settings,
    draw,
    labels_of,
    overlap,
)
from dsl.datasets.numbers.files import (
    MOST_BYTES,
    command,
    file_name,
    load,
    load_splits,
    save,
    writing,
)

__all__ = [
    "MOST_BYTES",
    "Examples",
    "Settings",
    "command",
    "draw",
    "file_name",
    "labels_of",
    "load",
    "load_splits",
    "overlap",
    "save",
    "writing",
]
