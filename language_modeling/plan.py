"""The tables of language modeling: their rows, seeds, and what each takes."""

from language_modeling import sweeps

# Stands for the distances that the agents of the table have learned.
SHARES = "{shares}"
MODELS = {
    "lstm": "--model lstm",
    "fixed_skip_3": "--model fixed_skip --skip 3",
    "fixed_skip_5": "--model fixed_skip --skip 5",
    "attention": "--model attention",
    "reinforce": "",
    "straight_through": "--estimator straight_through",
    "random": f"--policy random --look_back_shares {SHARES}",
    "previous": "--policy random --look_back_shares 1",
}
# The rows of the paper's table.
_PAPER = ("lstm", "fixed_skip_3", "fixed_skip_5", "attention", "reinforce")
_FOUR_EPOCHS = "--preset small --max_epochs 4 --constant_epochs 2"
# The encoder of words of CharLM small.
_CHARACTERS = (
    "--char --kernels 1,2,3,4,5,6 --kernel_features 25,50,75,100,125,150 "
    "--highway_layers 1"
)
# Flags, seeds and models of each table.
TABLES = {
    "quick": ("--preset quick", (1,), (*_PAPER, "straight_through")),
    "quick_char": (f"--preset quick {_CHARACTERS}", (1,), _PAPER),
    "small_4_epochs": (_FOUR_EPOCHS, (1, 2, 3), tuple(MODELS)),
    "char_4_epochs": (f"{_FOUR_EPOCHS} {_CHARACTERS}", (1, 2), _PAPER),
    **{
        name: (_FOUR_EPOCHS, (1,), tuple(sweep.rows.values()))
        for name, sweep in sweeps.SWEEPS.items()
    },
    "small": (
        "--preset small",
        (1,),
        ("lstm", "reinforce", "straight_through", "random"),
    ),
    # Its true perplexity is known, and which word each word hangs on.
    "generated": (
        "--preset small --corpus generated",
        (1, 2),
        (*_PAPER, "straight_through", "random"),
    ),
    "medium": ("--preset medium", (1,), _PAPER),
    # As far as it has come. With more epochs its runs go on.
    "medium_start": (
        "--preset medium --max_epochs 1",
        (1,),
        ("lstm", "reinforce"),
    ),
    "char_large": ("--preset char_large", (1,), _PAPER),
}
# What can be had in minutes, and in hours, on a few cores; and the paper's
# own sizes and schedules, which take days there.
BUDGETS = {
    "minutes": ("quick", "quick_char"),
    "hours": (
        "small_4_epochs",
        "char_4_epochs",
        "generated",
        "medium_start",
        *sweeps.SWEEPS,
    ),
    "paper": ("medium", "char_large"),
}


def runs(table, seeds=None):
    """The runs of a table in order.

    Args:
        table: Its name.
        seeds: Those in place of its own.

    Returns:
        List of pairs of the name, MODEL-SEED, and the list of flags, in which
        `SHARES` may stand for those that `learned_runs` have learned.
    """
    flags, usual, models = TABLES[table]
    known = MODELS
    if table in sweeps.SWEEPS:
        known = {**MODELS, **sweeps.SWEEPS[table].flags}
    return [
        (f"{model}-{seed}", f"{flags} {known[model]} --seed {seed}".split())
        for model in models
        for seed in seeds or usual
    ]


def learned_runs(table):
    """The runs of a table whose distances its control has."""
    return [f"reinforce-{seed}" for seed in TABLES[table][1]]
