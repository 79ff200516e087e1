"""What a broken input is, and the command lines that most of them are for."""

import dataclasses
from collections.abc import Callable

TINY = [
    "--no-download",
    *"--preset quick --rnn_size 8 --max_steps 5".split(),
    *"--num_unroll_steps 6 --batch_size 3 --checkpoint_every 2".split(),
]
NEW = [*TINY, "--name", "new"]
RESUME = [*TINY, "--name", "open", "--resume"]
LOAD = ["--no-download", "--load_model", "runs/run"]
MEASURE = "--no-download --load_model runs/plain --eval_samples 2".split()
PLAIN = [*MEASURE, "--split", "valid"]
# Done already, and so without a step of training.
DONE = [*TINY, "--model", "lstm", "--name", "plain", "--resume"]
COMPARE = ["runs/run", "runs/other", "--samples", "20"]
TABLE = ["runs/run", "runs/other"]
KEEP = ["runs/run", "kept"]
GRADIENTS = ["runs/run", "--no-download", "--streams", "3", "--steps", "4"]
OVERHEAD = ["--steps", "1", "--", *TINY]
PRODUCE = [
    *"--train 30 --valid 10 --test 10 --length 3".split(),
    *("--out_dir", "numbers"),
]
NUMBERS = [
    *"--data_dir numbers --length 3 --model lstm --rnn_size 4".split(),
    *"--epoch 1 --batch_size 5 --name new".split(),
]
RED = "\x1b[31mred"
LONG = "n" * 300
HUGE = "1" + "0" * 30  # More than any array has elements.
DIGITS = "9" * 5000  # More than Python turns into a number.


@dataclasses.dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
        kind: What is broken.
        name: In which way; unique within the kind.
        arguments: The words of the command line.
        code: The exit code, or those that are right.
        says: What the line on stderr must hold.
        program: Which command it is for.
        damage: Function of the folder that breaks it; None to leave it whole.
        silent: Whether it must end before anything is printed or noted.
        writes: Patterns of the paths that may change; no other does.
        around: Function of the folder and a monkeypatch that changes what is
            around the program, for as long as it runs; None for nothing.
        names: Whether it names what a terminal cannot show, and may do so in
            its notes.
        shell: A line of bash in which "$@" is the command, which then is a
            process of its own; None to run it in this process.
    """

    kind: str
    name: str
    arguments: list
    code: int | tuple
    says: tuple = ()
    program: str = "RL_train"
    damage: Callable | None = None
    silent: bool = False
    writes: tuple = ()
    around: Callable | None = None
    names: bool = False
    shell: str | None = None

    @property
    def notes(self):
        """Whether what it notes on standard error is looked at as well."""
        return self.silent or self.names

    def __str__(self):
        return f"{self.kind}: {self.name}"
