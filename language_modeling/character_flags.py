"""Flags of words that are read as characters: CharLM, Kim et al. 2016."""

import argparse

from dsl.experiment import command_line, shared_flags

# The large model, and the defaults of the published flags.
DEFAULTS = {
    "char_embed_size": 15,
    "kernels": [1, 2, 3, 4, 5, 6, 7],
    "kernel_features": [50, 100, 150, 200, 200, 200, 200],
    "highway_layers": 2,
    "max_word_length": 65,
}
# Whether there are characters at all, and what is read only then.
NAMES = ("char", *DEFAULTS)


def _counts(text):
    """An argparse type: integers of at least 1, in brackets or not."""
    bare = text[1:-1] if text[:1] + text[-1:] == "[]" else text
    try:
        return [command_line.count(part) for part in bare.split(",")]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            "must be integers of at least 1 with commas between. "
            f"Received: {text!r}"
        ) from None


def add_flags(group):
    """Adds the flags; what is not given is None until `set_defaults`."""
    add = group.add_argument
    add(
        "--char",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="read words as characters (CharLM)",
    )
    add(
        "--char_embed_size",
        type=command_line.count,
        metavar="N",
        help=f"width of the character vectors ({_default('char_embed_size')})",
    )
    add(
        "--kernels",
        type=_counts,
        metavar="W,W,...",
        help=f"widths of the convolutions ({_default('kernels')})",
    )
    add(
        "--kernel_features",
        type=_counts,
        metavar="N,N,...",
        help=f"outputs of each of them ({_default('kernel_features')})",
    )
    add(
        "--highway_layers",
        type=command_line.number(int, 0),
        metavar="N",
        help=f"highway layers above them ({_default('highway_layers')})",
    )
    add(
        "--max_word_length",
        type=command_line.number(int, 3, 1000),
        metavar="N",
        help="characters of a word that are read, its start and end among "
        f"them ({_default('max_word_length')})",
    )


def _default(name):
    """The default in words, for the help."""
    value = DEFAULTS[name]
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return f"with --char: {value}"


def set_defaults(args):
    """Sets what --char needs and neither a flag nor the preset has said."""
    if args.char:
        for name, value in DEFAULTS.items():
            if getattr(args, name) is None:
                setattr(args, name, value)


def check_together(parser, args):
    """Ends with an error unless the flags fit each other."""
    if not args.char:
        unread = [name for name in DEFAULTS if getattr(args, name) is not None]
        rules = [(True, f"argument --{name}: needs --char.") for name in unread]
        shared_flags.check(parser, *rules)
        return
    kernels, features = args.kernels, args.kernel_features
    shared_flags.check(
        parser,
        (
            len(set(kernels)) != len(kernels),
            "argument --kernels: must be distinct. "
            f"Received: {','.join(map(str, kernels))}",
        ),
        (
            max(kernels) > args.max_word_length,
            "argument --kernels: must be at most --max_word_length, "
            f"{args.max_word_length}. Received: {max(kernels)}",
        ),
        (
            len(features) != len(kernels),
            "argument --kernel_features: must be as many as --kernels, "
            f"{len(kernels)}. Received: {len(features)}",
        ),
    )


def count_weights(args, words):
    """Weights from the words to what the first LSTM layer reads, at least.

    Args:
        args: The settings.
        words: Number of words.
    """
    if not args.char:
        return words * args.rnn_size
    units = sum(args.kernel_features)
    windows = zip(args.kernels, args.kernel_features, strict=True)
    convolutions = sum(width * maps for width, maps in windows)
    return (
        args.char_embed_size * convolutions + args.highway_layers * 2 * units**2
    )
