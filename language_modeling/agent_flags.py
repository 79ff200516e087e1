"""Flags of the agent that chooses past states, in language modeling."""

import argparse

from dsl.experiment import command_line, shared_flags


def _shares(text):
    """An argparse type: numbers of at least 0, not all 0, and commas."""
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not 0 < sum(shares) < float("inf") or min(shares) < 0:
        raise argparse.ArgumentTypeError(
            "must be numbers of at least 0, one of them above 0, with commas "
            f"between. Received: {text!r}"
        )
    return shares


def add_flags(group):
    """What the agent is, and what it learns from."""
    add = group.add_argument
    add(
        "--policy",
        choices=("learned", "frozen", "random"),
        default="learned",
        help="learned (paper); frozen: stays as it starts; random: distances "
        "drawn with --look_back_shares, the control for a learned one",
    )
    add(
        "--look_back_shares",
        type=_shares,
        metavar="P,P,...",
        help="shares of the distances 1, 2, ... of random steps, zero where "
        "left out: 1 is always the previous state (default: all alike)",
    )
    add(
        "--random_share",
        type=command_line.share,
        metavar="P",
        help="share of the steps in training whose distance is random and not "
        "the agent's choice, which regularizes (default: none of a learned "
        "policy)",
    )
    add(
        "--policy_start",
        type=command_line.number(int, 0),
        default=0,
        metavar="N",
        help="updates before the agent chooses and learns; until then, the "
        "previous state",
    )
    shared_flags.add_signal_flags(add)
    add(
        "--task_rollouts",
        type=command_line.count,
        metavar="R",
        help="rollouts that the model learns its words from; the others only "
        "judge the agent's choices (default: all)",
    )
    add(
        "--discount",
        type=command_line.share,
        metavar="G",
        help="gamma of the reward-to-go",
    )
    add(
        "--agent_optimizer",
        choices=("adam", "shared"),
        default="adam",
        help="adam: its own, outside of the clip; shared: the model's "
        "(published code)",
    )


def check_together(parser, args):
    """Ends with an error unless the flags fit each other."""
    shares = args.look_back_shares
    shared_flags.check(
        parser,
        (
            (args.task_rollouts or 1) > args.rollouts,
            "argument --task_rollouts: must be at most --rollouts, "
            f"{args.rollouts}. Received: {args.task_rollouts}",
        ),
        (
            shares is not None
            and args.policy != "random"
            and args.random_share is None,
            "argument --look_back_shares: needs --policy random or "
            f"--random_share. Received: --policy {args.policy}",
        ),
        (
            args.random_share is not None and args.policy != "learned",
            "argument --random_share: needs --policy learned. "
            f"Received: --policy {args.policy}",
        ),
        (
            shares is not None and len(shares) > args.n_actions,
            "argument --look_back_shares: must hold at most --n_actions, "
            f"{args.n_actions}, shares. Received: {len(shares or [])}",
        ),
    )
