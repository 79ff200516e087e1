"""Which settings a model reads, in every task."""

import pytest

from language_modeling import flags as language_flags
from number_prediction import flags as number_flags
from scripts import models

pytestmark = pytest.mark.backend

PARSERS = (language_flags.make_parser(), number_flags.make_parser("x", 10))


def test_every_setting_that_not_all_read_is_one_of_a_task():
    known = {action.dest for one in PARSERS for action in one._actions}
    assert set(models.READERS) <= known


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_the_agents_flags_are_read_by_the_dynamic_skip_alone(parser):
    (group,) = (g for g in parser._action_groups if "agent" in g.title)
    agent = {action.dest for action in group._group_actions}
    assert "estimator" in agent
    for model in models.MODELS[:3]:
        assert agent <= models.unread(model)
    assert models.unread("dynamic_skip") == {"skip"}


def test_of_another_model_nothing_is_known():
    for model in (None, "gru", ["lstm"], {}):
        assert models.unread(model) == set()
    assert models.effective({"lamda": 1.0}) == {"lamda": 1.0}
    saved = {"model": "lstm", "lamda": 1.0, "rnn_size": 3}
    assert models.effective(saved) == {"model": "lstm", "rnn_size": 3}
