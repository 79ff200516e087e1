"""Loops over time: a differentiable scan and hand-derived backward passes."""

from dsl.loops.dynamic_skip_lstm import choose, connect, follow
from dsl.loops.lstm import lstm
from dsl.loops.scan import scan

__all__ = ["choose", "connect", "follow", "lstm", "scan"]
