"""Run folders as training leaves them, made by hand, and tables of them."""

import json

import numpy as np

from dsl.runs import results


def make_record(**changes):
    """A record with every key that a language-model run writes."""
    record = {
        "task": "language_modeling",
        "model": "dynamic_skip",
        "corpus": "ptb",
        "settings": {"lamda": 1.0},
        "command": "RL_train.py --model dynamic_skip",
        "parameters": 19780401,
        "seconds": 61.6,
        "steps": 120,
        "epochs": [{"epoch": 1, "valid_perplexity": 130.0}],
        "valid": {"perplexity": 120.25},
        "test": {
            "perplexity": 115.126,
            "perplexity_sampled_mean": 116.5,
            "perplexity_sampled_std": 0.127,
            "sampled_n": 5,
        },
        "published": {"test_perplexity": 114.5, "source": "A paper, table 2"},
        "true_perplexity": None,
        "weights_sha256": "0" * 64,
        "versions": {"keras": "3.15.1"},
        "commit": None,
    }
    return {**record, **changes}


def make_text(sentences=400, seed=0):
    """Scores of two systems on one text, and the sentence of each token."""
    rng = np.random.default_rng(seed)
    sentence = np.repeat(
        np.arange(sentences), rng.integers(3, 20, sentences)
    ).astype(np.int32)
    nll_a = rng.gamma(2.0, 2.0, len(sentence))
    nll_b = nll_a + rng.normal(0.02, 0.5, len(sentence))
    return nll_a, nll_b, sentence


def make_run(
    folder, *, epochs=2, scores=None, finished=True, record=(), **settings
):
    """A run folder as training leaves it; `record` changes its record."""
    folder.mkdir(parents=True)
    config = {
        "task": "language_modeling",
        "settings": {"seed": 1, "name": folder.name, **settings},
        "data_sha256": {"test": "0" * 64},
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = [
        json.dumps(
            {
                "epoch": epoch,
                "train_perplexity": 300.0 / epoch,
                "valid_perplexity": 200.0 / epoch,
                "seconds": 10.25,
            }
        )
        for epoch in range(1, epochs + 1)
    ]
    if lines:
        text = "\n".join(lines) + "\n"
        (folder / "metrics.jsonl").write_text(text)
    if scores is not None:
        write_scores(folder, *scores)
    if finished:
        results.save(make_record(**dict(record)), folder / "result.json")
    return folder


def make_number_run(folder, settings, shares, *, valid=(0.5, 0.7), **figures):
    """A finished run of number prediction.

    Args:
        folder: Its folder, made here.
        settings: Dict of its settings.
        shares: Accuracy on the test examples, greedy and, if any, sampled.
        valid: Accuracy on the dev set after each epoch.
        **figures: What else was measured on the test examples.
    """
    folder.mkdir(parents=True)
    config = {"task": "number_prediction", "settings": settings}
    results.save(config, folder / results.CONFIG_NAME)
    epochs = [
        {
            "epoch": epoch,
            "train_accuracy": share,
            "valid_accuracy": share,
            "seconds": 20.0,
        }
        for epoch, share in enumerate(valid, start=1)
    ]
    lines = "".join(f"{json.dumps(entry)}\n" for entry in epochs)
    (folder / results.METRICS_NAME).write_text(lines)
    test = {"accuracy": shares[0], "loss": 1.0, "examples": 1000, **figures}
    if len(shares) > 1:
        test["accuracy_sampled_mean"] = shares[1]
        test["accuracy_sampled_std"] = 0.002
        test["sampled_n"] = 5
    record = make_record(
        task="number_prediction",
        model=settings["model"],
        corpus="number_prediction",
        settings=settings,
        command="python number_prediction/train_RL10_1.py --train_dir '/some "
        f"where' --data_dir /x --produce --seed {settings['seed']}",
        seconds=90.0,
        epochs=epochs,
        valid={"accuracy": max(valid), "epoch": 1 + valid.index(max(valid))},
        test=test,
        published={},
    )
    results.save(record, folder / results.FILE_NAME)
    return folder


def write_scores(folder, nll, sentence, changes=()):
    look_back = np.ones(len(nll), np.int32)
    arrays = {"nll": nll, "look_back": look_back, "sentence": sentence}
    np.savez(folder / results.SCORES_NAME, **(arrays | dict(changes)))


def cells(text):
    """The body of a rendered table as lists of stripped cells."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if not set(line) <= set("|-: ")
    ]


class Ended:
    """A process that has ended already.

    Args:
        code: Its exit code.
    """

    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code
