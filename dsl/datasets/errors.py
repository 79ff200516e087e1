"""The error every loader raises."""

from dsl.system.messages import Failure


class DataError(Failure, ValueError):
    """A corpus is missing, damaged or not the one it should be.

    The message is one line that names the file or folder, the rule it breaks
    and what was found there.
    """

    exit_code = 3
