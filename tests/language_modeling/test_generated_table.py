"""The table of generated sentences, whose grammar is known."""

import numpy as np
import pytest
from run_folders import cells, make_run, make_text, write_scores

from dsl.datasets import generated
from dsl.experiment import plan
from language_modeling.task import TASK

pytestmark = pytest.mark.backend

# How far back each row connected, word by word.
LOOKS = {
    "lstm": [0, 0, 0, 0, 0, 0],
    "fixed_skip_3": [0, 0, 0, 0, 0, 0],
    # Scored in part, so that its words are not those of the grammar.
    "fixed_skip_5": [0, 0, 0, 0, 0],
    "reinforce": [1, 2, 2, 3, 1, 3],
    "straight_through": [1, 1, 1, 1, 1, 1],
}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Rows of the table, all over one sentence."""
    # Distances of the words read, and of the next ones from there.
    arcs = np.array([0, 2, 3, 3, 1, 2, 4])
    monkeypatch.setattr(generated, "SHA256", {"test": "0" * 64})
    monkeypatch.setattr(
        generated, "load_with_arcs", lambda: (None, {"test": arcs})
    )
    for run in TASK.tables["generated"].runs(only=[*LOOKS]):
        args = TASK.parse(run.flags)
        look = np.array(LOOKS[run.row], "int32")
        nll, _, sentence = make_text(20)
        folder = make_run(
            tmp_path / "generated" / run.name,
            scores=(nll, sentence),
            record={
                "corpus": "generated",
                "valid": {"perplexity": 9.0, "epoch": 2},
                "test": {"perplexity": 20.0 * run.seed},
                "true_perplexity": {"test": 16.0},
            },
            **TASK.of_run(args),
        )
        nll = np.full(len(look), np.log(20.0))
        sentence = np.zeros(len(nll), "int32")
        write_scores(folder, nll, sentence, {"look_back": look})
    return plan.load(TASK, tmp_path / "generated", "generated")


def test_generated_sentences_are_held_to_their_grammar(rows):
    header, *found = cells(plan.render(TASK, rows).partition("\n\n")[0])
    found = {row[0]: dict(zip(header, row, strict=True)) for row in found}
    assert not any("published" in name for name in header)
    # Over one sentence.
    assert not any("interval" in name for name in header)
    read = "connections that hit what the word read hangs on, % (by chance)"
    ahead = "connections that hit what the next word hangs on, % (by chance)"
    assert [found[name]["true test"] for name in LOOKS] == ["16.00"] * 5
    assert found["attention"]["true test"] == "-"
    excess = (np.log(20 / 16) + np.log(40 / 16)) / 2
    assert (
        found["lstm"]["nats a word above the true"]
        == found["reinforce"]["nats a word above the true"]
        == f"{excess:.3f}"
    )
    # The word read hangs on 0 2 3 3 1 2, the next one on 1 2 2 0 1 3.
    assert {
        name: (found[name][read], found[name][ahead]) for name in LOOKS
    } == {
        "lstm": ("-", "-"),
        # All six, of which two and one hit.
        "fixed_skip_3": ("33.3 (33.3)", "16.7 (16.7)"),
        "fixed_skip_5": ("-", "-"),
        # Of four, at 2 2 3 3, two hit, and three; in the mean 8/6 and 6/6.
        "reinforce": ("50.0 (33.3)", "75.0 (25.0)"),
        "straight_through": ("-", "-"),
    }
