"""The tables of number prediction: their rows, and the seeds of each."""

# Trained until the dev set gets no better.
PATIENT = "--epoch 60 --patience 5"
MODELS = {
    "lstm": f"--model lstm {PATIENT}",
    "attention": f"--model attention {PATIENT}",
    "fixed_skip": f"--model fixed_skip --skip 5 {PATIENT}",
    "dynamic-1": "--lamda 1",
    "dynamic-0.5": "--lamda 0.5",
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
# Five seeds where the paper has a table, three beyond it.
PUBLISHED, BEYOND = (1, 2, 3, 4, 5), (1, 2, 3)


def _only(*names):
    return {name: MODELS[name] for name in names}


# Flags of all rows, seeds, and flags of each row.
TABLES = {
    "T11": ("--length 10", PUBLISHED, MODELS),
    # Ablation: `dynamic-1` with one slip, or choice, of the published code.
    "T11_slips": (
        "--length 10 --lamda 1",
        (1,),
        {
            "probability_offset": "--probability_offset 1",
            "task_weight": "--task_weight 0.1",
            "empty_slots": "--empty_slots zeros",
            "observation": "--observation mean",
            "reward": "--reward correct",
        },
    ),
    "T21": ("--length 20", PUBLISHED, MODELS),
    "T21_start": (
        "--length 20 --index_from start",
        BEYOND,
        {
            "lstm": "--model lstm --mark_pointer --epoch 20",
            **_only("dynamic-1"),
            "dynamic-1-K20": "--lamda 1 --n_actions 20",
            "dynamic-1-grown": f"--lamda 1 --mark_pointer {GROWN}",
        },
    ),
    # Ablation: `dynamic-1-grown` without one part, or with another instead.
    "T21_start_parts": (
        "--length 20 --index_from start --lamda 1",
        (1,),
        {
            "without_mark": GROWN,
            "positions": f"{GROWN} --policy_positions 21",
            "without_growth": "--mark_pointer",
            "digit_by_digit": "--mark_pointer --first_length 10 --epoch 16",
            "without_path": f"--mark_pointer {GROWN} --credit all",
            "rollouts": "--mark_pointer --rollouts 4 --baseline leave_one_out",
            "straight_through": "--mark_pointer --estimator straight_through",
        },
    ),
    "T51": (
        "--length 50 --symbols 50 --index_from start",
        BEYOND,
        {
            "lstm": "--model lstm",
            # Fifty pointers to tell apart, and to try fifty distances for.
            "dynamic-1": "--lamda 1 --n_actions 50 --policy_units 100 "
            "--final_entropy_weight 0.01 --entropy_steps 8000",
        },
    ),
    "T101": (
        "--length 100",
        BEYOND,
        {"lstm": "--model lstm", **_only("dynamic-1")},
    ),
}


def runs(table):
    """The runs of a table: every row of a seed before the next seed.

    Args:
        table: Its name.

    Returns:
        List of triples `(row, seed, flags)`.
    """
    _, seeds, rows = TABLES[table]
    return [
        (row, seed, flags(table, row, seed)) for seed in seeds for row in rows
    ]


def flags(table, row, seed):
    """The list of flags of one run, on data that only its seed shares."""
    common, _, rows = TABLES[table]
    seeds = f"--produce --data_seed {seed} --seed {seed}"
    return f"{common} {rows[row]} {seeds}".split()


def run_name(row, seed):
    """The name of a run in its table."""
    return f"{row}-{seed}"
