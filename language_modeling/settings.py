"""From the command line to checked settings, and back from a run's."""

import argparse
import os

from dsl.experiment import command_line, kinds, shared_flags
from dsl.system.messages import short
from language_modeling import character_flags, flags, presets

TASK = "language_modeling"
# Where and how, which changes no number; `--resume` may differ in them.
FREE = (
    "data_dir",
    "download",
    "train_dir",
    "name",
    "print_every",
    "checkpoint_every",
    "tensorboard",
)
# What is shown of a trained model.
OF_SHOWING = ("split", "text", "sentences", "figure")
# What is done with a run, which is no setting of it.
OF_A_CALL = ("resume", "load_model", "given", *OF_SHOWING)
# How a run is measured, which may be asked anew of an old one.
OF_MEASURING = ("eval_protocol", "eval_samples", "jit")


def parse_args(arguments=None, source=None):
    """Reads the flags; explicit ones override the preset's.

    Args:
        arguments: List of strings; those of the command line by default.
        source: What to name in an error, if not the command line.

    Returns:
        The settings, an `argparse.Namespace`, with the names of the flags that
        were `given`.
    """
    parser = flags.make_parser(source)
    first = command_line.Parser(
        source, prog=parser.prog, add_help=False, allow_abbrev=False
    )
    first.add_argument("--preset")
    first.add_argument("--policy", default="learned")
    first.add_argument("--estimator", default="reinforce")
    first.add_argument("--char", action=argparse.BooleanOptionalAction)
    known, _ = first.parse_known_args(arguments)
    recipe = presets.ESTIMATOR_DEFAULTS.get(known.estimator, {})
    preset = presets.PRESETS.get(known.preset, {})
    if known.char is False:
        preset = {
            key: value
            for key, value in preset.items()
            if key not in character_flags.NAMES
        }
    if "entropy_weight" in preset:
        recipe = {**recipe, "final_entropy_weight": None, "entropy_steps": None}
    shared_flags.set_entropy_defaults(parser, arguments, {**recipe, **preset})
    if known.policy != "learned":
        parser.set_defaults(rollouts=1, baseline="none")
    args = parser.parse_args(arguments)
    character_flags.set_defaults(args)
    args.given = command_line.given(parser, arguments, args)
    if args.load_model is None:
        # Otherwise the model is that of the run.
        kinds.check_read(parser, args.given, args.model)
    flags.check_together(parser, args)
    for name in sorted(args.given.intersection(OF_SHOWING)):
        if args.load_model is None:
            parser.error(
                f"argument --{name}: needs --load_model, the run to show."
            )
    if {"text", "split"} <= args.given:
        parser.error(
            "argument --text: takes the place of --split; give one of them."
        )
    return args


def contradicted(loaded, args):
    """What flags of this call say otherwise than the run that it loads.

    Args:
        loaded: The settings of the run, see `from_saved`.
        args: Those of this call.

    Returns:
        List of texts, one a flag, with both values.
    """
    free = {*FREE, *OF_A_CALL, *OF_MEASURING}
    return [
        f"--{name} {short(getattr(loaded, name))}, now "
        f"{short(getattr(args, name))}"
        for name in sorted(args.given - free)
        if getattr(loaded, name) != getattr(args, name)
    ]


def of_run(args):
    """The settings that a run keeps, a dict."""
    return {
        key: value for key, value in vars(args).items() if key not in OF_A_CALL
    }


def optional(model):
    """The names of the settings that an older run may lack.

    What came later changes nothing where it is left out, or where the model
    does not read it.

    Args:
        model: That of the run.
    """
    unset = [k for k, value in vars(parse_args([])).items() if value is None]
    return {*unset, *kinds.unread(model)}


def reference(args, corpus_name):
    """What the settings are held to.

    Returns:
        Dict of the published `valid_perplexity`, `test_perplexity` and their
        `source`, None where the preset has none or the settings differ from
        it, the paper's estimator included; and the number of epochs of the
        preset's recipe.
    """
    given, row = ["--model", args.model], args.model
    if args.model == "fixed_skip":
        given += ["--skip", str(args.skip)]
        row = f"fixed_skip {args.skip}"
    if args.preset is not None:
        given += ["--preset", args.preset]
    recipe = of_run(parse_args(given))
    # The corpus is told apart by its name, however it was asked for.
    free = {*FREE, "corpus", "vocabulary_size", "seed", "jit", "eval_samples"}
    same = all(
        value == recipe[key]
        for key, value in of_run(args).items()
        if key not in free
    )
    found = presets.PUBLISHED.get((args.preset, row))
    if found is None or not same or corpus_name != "ptb":
        found = (None, None, None)
    names = ("valid_perplexity", "test_perplexity", "source")
    return dict(zip(names, found, strict=True)), recipe["max_epochs"]


def from_saved(saved, args, source):
    """Settings of an earlier run, checked as if they had been typed.

    Args:
        saved: Dict of settings, as a run keeps them.
        args: The settings of this call; those of the call itself and of
            measuring are taken from it. Where it has no `data_dir`, that of
            the run is used if it is still there.
        source: The file that they come from, named in errors.

    Returns:
        The settings, as `parse_args` returns them.
    """
    kept = {*FREE, *OF_A_CALL, *OF_MEASURING}
    given = []
    for key, value in kinds.effective(saved).items():
        if key in kept:
            continue
        if isinstance(value, bool):
            given.append(f"--{key}" if value else f"--no-{key}")
        elif isinstance(value, list):
            given.append(f"--{key}={','.join(map(str, value))}")
        elif value is not None:
            given.append(f"--{key}={value}")
    loaded = parse_args(given, source)
    for key in kept:
        setattr(loaded, key, getattr(args, key))
    folder = saved.get("data_dir")
    if loaded.data_dir is None and isinstance(folder, str):
        if os.path.isdir(folder):
            loaded.data_dir = folder
        else:  # What the search would fetch are not the run's data.
            loaded.download = False
    return loaded
