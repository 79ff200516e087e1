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
}
# The rows of the paper's table.
_PAPER = ("lstm", "fixed_skip_3", "fixed_skip_5", "attention", "reinforce")
_FOUR_EPOCHS = "--preset small --max_epochs 4 --constant_epochs 2"
# The encoder of words of CharLM small.
_CHARACTERS = (
    "--char --kernels 1,2,3,4,5,6 --kernel_features 25,50,75,100,125,150 "
    "--highway_layers 1"
)
# The models whose difference is measured over several seeds.
_REPEATED = ("lstm", "reinforce", "straight_through", "random")


def _rows(models, seeds=1, repeated=_REPEATED):
    """Seeds by model: as many of the repeated ones, one of all others."""
    return {
        model: tuple(range(1, (seeds if model in repeated else 1) + 1))
        for model in models
    }


# Flags of all rows of each table, and the seeds of each of its models.
TABLES = {
    "quick": ("--preset quick", _rows((*_PAPER, "straight_through"))),
    "quick_char": (f"--preset quick {_CHARACTERS}", _rows(_PAPER)),
    "small_4_epochs": (_FOUR_EPOCHS, _rows(MODELS, 3)),
    "char_4_epochs": (f"{_FOUR_EPOCHS} {_CHARACTERS}", _rows(_PAPER, 2)),
    **{
        name: (_FOUR_EPOCHS, _rows(sweep.rows.values()))
        for name, sweep in sweeps.SWEEPS.items()
    },
    "small": ("--preset small", _rows(_REPEATED)),
    # Its true perplexity is known, and which word each word hangs on.
    "generated": (
        "--preset small --corpus generated",
        _rows(MODELS, 2, ("lstm", "reinforce")),
    ),
    "medium": ("--preset medium", _rows(_PAPER)),
    # As far as it has come. With more epochs its runs go on.
    "medium_start": (
        "--preset medium --max_epochs 1",
        _rows(("lstm", "reinforce")),
    ),
    "char_large": ("--preset char_large", _rows(_PAPER)),
}
# What can be had in minutes, and in hours, on a few cores; and the paper's
# own sizes and schedules, which take days there.
BUDGETS = {
    "minutes": ("quick", "quick_char"),
    "hours": (
        "small",
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
        seeds: Those of each model, in place of its own.

    Returns:
        List of pairs of the name, MODEL-SEED, and the list of flags, in which
        `SHARES` may stand for those that `learned_runs` have learned.
    """
    flags, models = TABLES[table]
    known = MODELS
    if table in sweeps.SWEEPS:
        known = {**MODELS, **sweeps.SWEEPS[table].flags}
    return [
        (f"{model}-{seed}", f"{flags} {known[model]} --seed {seed}".split())
        for model, usual in models.items()
        for seed in seeds or usual
    ]


def learned_runs(table):
    """The runs of a table whose distances its control has."""
    return [f"reinforce-{seed}" for seed in TABLES[table][1]["reinforce"]]
