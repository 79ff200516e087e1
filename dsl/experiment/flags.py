"""Flags, declared once: what one is, and all that follows from it.

    class Data(flags.Group):
        '''What is read.'''

        length = flag(10, count, "N")
        '''Symbols of a sequence.'''
        noise = flag(0.0, share, of=("attention",))
        '''Share of symbols that are drawn anew.'''

The text below a flag is its help. From the declarations come the parser, what
is refused when a run goes on, what a comparison of runs leaves out, what a
saved run can be asked anew, and which model reads what.
"""

import argparse
import ast
import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable

from dsl.experiment import command_line

SETTING = "setting"
"""The role of a flag that says what is run."""
WHERE = "where"
"""Where things lie, and what is shown of them: changes no number."""
DATA = "data"
"""How data were asked for, which are told apart by their hashes."""
SEED = "seed"
"""One draw of many: runs that differ in it alone are taken together."""
MEASURING = "measuring"
"""How a model is measured, which can be asked anew of an old run."""
CALL = "call"
"""What is done with a run: no setting of it."""
SHOWING = "showing"
"""What is shown of a trained model, with `--load_model`: no setting either."""


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of the command line.

    Args:
        default: Its value where nothing else is said.
        type: Function from a text to a value, which raises
            `argparse.ArgumentTypeError`.
        metavar: Name of the value in the help.
        of: The models that read it; all of them if empty.
        role: See the constants of this module.
        grows: Whether a run may go on with more.
        free: Whether it may differ when a run goes on; of the role `WHERE` all
            may.
        choices: The values that there are, if they are few.
        nargs: As for argparse.
        action: As for argparse: "store_true", or `BOTH` for a pair of flags,
            --name and --no-name.
        name: Set by its group.
    """

    default: object = None
    type: Callable | None = None
    metavar: str | None = None
    of: tuple = ()
    role: str = SETTING
    grows: bool = False
    free: bool = False
    choices: tuple | None = None
    nargs: str | None = None
    action: object = None
    name: str = ""

    def typed(self, value):
        """The words that give it a value on a command line, a list."""
        if value is None:
            return []
        if isinstance(value, bool) and self.action is BOTH:
            return [f"--{self.name}" if value else f"--no-{self.name}"]
        if isinstance(value, bool) and self.action is not None:
            return [f"--{self.name}"] * value
        if self.nargs is not None and isinstance(value, list):
            return [f"--{self.name}", *map(str, value)]
        if isinstance(value, list):
            value = ",".join(map(str, value))
        return [f"--{self.name}={value}"]


BOTH = argparse.BooleanOptionalAction
flag = Flag


class Group:
    """Flags that belong together; the docstring is their heading."""

    flags = ()

    @staticmethod
    def rules(args):
        """What must hold of the settings; see `check`."""
        return ()

    def __init_subclass__(cls):
        cls.flags = tuple(
            dataclasses.replace(one, name=name)
            for name, one in vars(cls).items()
            if isinstance(one, Flag)
        )


class Flags:
    """All flags of a program.

    Args:
        groups: Classes derived from `Group`, in the order of the help.
        defaults: Function of the flags that are given, a dict, to a dict of
            values that others have then, in place of their own defaults.
    """

    def __init__(self, groups, defaults=lambda given: {}):
        self.groups = groups
        self.all = {one.name: one for group in groups for one in group.flags}
        self.defaults = defaults

    def names(self, *roles):
        """The names of the flags of some roles, a set."""
        return {one.name for one in self.all.values() if one.role in roles}

    @property
    def free(self):
        """Those that may differ when a run goes on."""
        free = {one.name for one in self.all.values() if one.free}
        return free | self.names(WHERE)

    @property
    def growing(self):
        """Those of which a run may go on with more, a list."""
        return [one.name for one in self.all.values() if one.grows]

    def unread(self, model):
        """Those that a model does not read; of an unknown one none is known."""
        if model not in self.all["model"].choices:
            return set()
        return {
            one.name
            for one in self.all.values()
            if one.of and model not in one.of
        }

    def resolve(self, given):
        """All settings where some flags are given, a dict.

        Raises:
            KeyError: If a default is of a flag that there is not.
        """
        values = {name: one.default for name, one in self.all.items()}
        for name, value in self.defaults(given).items():
            if name not in values:
                raise KeyError(name)
            values[name] = value
        return {**values, **given}

    def parse(self, parser, arguments=None):
        """Reads a command line, once.

        Args:
            parser: What `make_parser` returned.
            arguments: List of strings; those of the command line by default.

        Returns:
            The settings, an `argparse.Namespace`, with the names of the flags
            that were `given`.
        """
        given = vars(parser.parse_args(arguments))
        args = argparse.Namespace(**self.resolve(given), given=set(given))
        # Of a run that is loaded, the model is not that of this call.
        if "model" in self.all and args.load_model is None:
            self._check_read(parser, args)
        for group in self.groups:
            check(parser, *group.rules(args))
        self._check_shown(parser, args)
        return args

    def _check_shown(self, parser, args):
        for name in sorted(args.given & self.names(SHOWING)):
            if args.load_model is None:
                parser.error(
                    f"argument --{name}: needs --load_model, the run to show."
                )

    def _check_read(self, parser, args):
        model = args.model
        for name in sorted(self.unread(model) & args.given):
            readers = ", ".join(self.all[name].of)
            parser.error(
                f"argument --{name}: must go with a model that reads it "
                f"({readers}). Received: --model {model}"
            )

    def make_parser(self, source=None, **options):
        """The parser of all flags: it keeps what is given, and no defaults.

        Args:
            source: What to name in errors, if not the command line.
            **options: As for `argparse.ArgumentParser`.
        """
        parser = command_line.Parser(
            source,
            allow_abbrev=False,
            add_help=False,
            argument_default=argparse.SUPPRESS,
            formatter_class=argparse.HelpFormatter,
            **options,
        )
        parser.add_argument(
            "-h", "--help", action=_Help, nargs=0, flags=self, help="show this"
        )
        for group in self.groups:
            add = parser.add_argument_group(group.__name__).add_argument
            for one in group.flags:
                add(f"--{one.name}", **_options(one), help=one.name)
        return parser


class _Help(argparse.Action):
    """Shows the help, with the defaults that hold for what is given so far."""

    def __init__(self, flags, **kwargs):
        super().__init__(**kwargs)
        self.flags = flags

    def __call__(self, parser, namespace, values, option_string=None):
        values = self.flags.resolve(vars(namespace))
        groups = self.flags.groups
        texts = {
            one.name: text for group in groups for one, text in helps(group)
        }
        headings = {group.__name__: heading(group) for group in groups}
        for found in parser._action_groups:
            found.title = headings.get(found.title, found.title)
        for action in parser._actions:
            if action.dest in texts:
                action.help = _with_default(
                    texts[action.dest], values[action.dest]
                )
        parser.print_help()
        parser.exit()


def _with_default(text, value):
    """The help of a flag, and its default where the text does not tell it."""
    text = text.replace("%", "%%")
    if value is None or "(default" in text:
        return text
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"{text} (default: {value})"


def _options(one):
    """The arguments of `add_argument` for a flag."""
    found = {
        key: getattr(one, key)
        for key in ("type", "metavar", "choices", "nargs", "action")
    }
    return {key: value for key, value in found.items() if value is not None}


def heading(group):
    """The docstring of a group, without a final full stop."""
    node = _classes(group.__module__)[group.__name__]
    return ast.get_docstring(node).removesuffix(".")


def helps(group):
    """The flags of a group with the text that stands below each.

    Returns:
        List of pairs of a `Flag` and a string on one line, without a final
        full stop.
    """
    node = _classes(group.__module__)[group.__name__]
    texts = {
        a.targets[0].id: _on_one_line(b.value.value)
        for a, b in zip(node.body, node.body[1:], strict=False)
        if isinstance(a, ast.Assign)
        and isinstance(b, ast.Expr)
        and isinstance(b.value, ast.Constant)
    }
    return [(one, texts[one.name]) for one in group.flags]


@functools.cache
def _classes(module):
    """The classes of a module, a dict of `ast.ClassDef`.

    Read from the source, for nothing keeps the text below an assignment, and
    `python -OO` drops docstrings.
    """
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {x.name: x for x in tree.body if isinstance(x, ast.ClassDef)}


def _on_one_line(text):
    text = " ".join(text.split()).removesuffix(".")
    # As argparse writes it: unless it begins with a name.
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def check(parser, *rules):
    """Ends with the message of the first rule that is broken.

    Args:
        parser: The parser, which says it.
        *rules: Pairs of whether the rule is broken, and the message.
    """
    for broken, message in rules:
        if broken:
            parser.error(message)
