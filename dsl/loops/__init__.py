"""Loops over time: a differentiable scan and hand-derived backward passes."""

from dsl.loops.attention_lstm import attend
from dsl.loops.dynamic_skip_lstm import choose, connect, follow
from dsl.loops.lstm import lstm, shift
from dsl.loops.scan import scan, scan_back, scan_recent

__all__ = [
    "attend",
    "choose",
    "connect",
    "follow",
    "lstm",
    "scan",
    "scan_back",
    "scan_recent",
    "shift",
]
