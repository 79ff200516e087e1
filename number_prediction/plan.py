"""The tables of number prediction: their rows, and the seeds of each."""

# Trained until the dev set gets no better.
PATIENT = "--epoch 60 --patience 5"
# The paper's table.
PUBLISHED = {
    "lstm": f"--model lstm {PATIENT}",
    "attention": f"--model attention {PATIENT}",
    "dynamic-1": "--lamda 1",
    "dynamic-0.5": "--lamda 0.5",
}
# What stands beside it.
CONTROLS = {
    "straight_through-1": "--estimator straight_through --lamda 1",
    "straight_through-0.5": "--estimator straight_through --lamda 0.5",
    "paper-1": "--recipe paper --lamda 1",
    "paper-0.5": "--recipe paper --lamda 0.5",
    # It has no lambda.
    "published_code": "--recipe published_code --lamda 1 --epoch 20",
    "oracle-1": "--policy oracle --lamda 1 --epoch 2",
    "uniform-1": "--policy uniform --lamda 1 --epoch 20 --patience 5",
}
# A curriculum: ten digits for an epoch, which one hop reaches, then all twenty,
# of which the first ten are two hops away.
GROWN = "--first_length 10 --length_step 10"
ONE, THREE, FIVE = (1,), (1, 2, 3), (1, 2, 3, 4, 5)


def _rows(seeds, rows):
    return {name: (flags, seeds) for name, flags in rows.items()}


def _published():
    return {**_rows(FIVE, PUBLISHED), **_rows(ONE, CONTROLS)}


# Flags of all rows, and of each row its own flags and its seeds.
TABLES = {
    "T11": ("--length 10", _published()),
    # Ablation: `dynamic-1` with one slip, or choice, of the published code.
    "T11_slips": (
        "--length 10 --lamda 1",
        _rows(
            ONE,
            {
                "probability_offset": "--probability_offset 1",
                "task_weight": "--task_weight 0.1",
                "empty_slots": "--empty_slots zeros",
                "observation": "--observation mean",
                "reward": "--reward correct",
            },
        ),
    ),
    "T21": ("--length 20", _published()),
    "T21_start": (
        "--length 20 --index_from start",
        {
            **_rows(
                ONE,
                {
                    "lstm": "--model lstm --mark_pointer --epoch 20",
                    "dynamic-1": "--lamda 1",
                    "dynamic-1-K20": "--lamda 1 --n_actions 20",
                },
            ),
            **_rows(
                THREE, {"dynamic-1-grown": f"--lamda 1 --mark_pointer {GROWN}"}
            ),
        },
    ),
    # Ablation: `dynamic-1-grown` without one part, or with another instead.
    "T21_start_parts": (
        "--length 20 --index_from start --lamda 1",
        _rows(
            ONE,
            {
                "without_mark": GROWN,
                "positions": f"{GROWN} --policy_positions 21",
                "without_growth": "--mark_pointer",
                "digit_by_digit": "--mark_pointer --first_length 10 --epoch 16",
                "without_path": f"--mark_pointer {GROWN} --credit all",
                "rollouts": "--mark_pointer --rollouts 4 "
                "--baseline leave_one_out",
                "straight_through": "--mark_pointer "
                "--estimator straight_through",
            },
        ),
    ),
    "T51": (
        "--length 50 --symbols 50 --index_from start",
        _rows(
            ONE,
            {
                "lstm": "--model lstm",
                # Fifty pointers to tell apart, and to try fifty distances for.
                "dynamic-1": "--lamda 1 --n_actions 50 --policy_units 100 "
                "--final_entropy_weight 0.01 --entropy_steps 8000",
            },
        ),
    ),
    "T101": (
        "--length 100",
        _rows(ONE, {"lstm": "--model lstm", "dynamic-1": "--lamda 1"}),
    ),
}


def runs(table):
    """The runs of a table: every row of a seed before the next seed.

    Args:
        table: Its name.

    Returns:
        List of triples `(row, seed, flags)`.
    """
    _, rows = TABLES[table]
    return [
        (row, seed, flags(table, row, seed))
        for seed in seeds(table)
        for row, (_, own) in rows.items()
        if seed in own
    ]


def seeds(table):
    """The seeds that any of its rows has, in order."""
    _, rows = TABLES[table]
    return sorted({seed for _, own in rows.values() for seed in own})


def flags(table, row, seed):
    """The list of flags of one run, on data that only its seed shares."""
    common, rows = TABLES[table]
    own, _ = rows[row]
    seeded = f"--produce --data_seed {seed} --seed {seed}"
    return f"{common} {own} {seeded}".split()


def run_name(row, seed):
    """The name of a run in its table."""
    return f"{row}-{seed}"
