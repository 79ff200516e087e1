"""Scoring text, against loops over NumPy."""

import cases
import numpy as np
import pytest
import small_models

import dsl
from dsl.datasets import streams
from dsl.scoring.streams import StreamScorer, score
from dsl.seeds import drawing_from

TEXT = small_models.text(24, seed=9)


def single_pass(rows, **options):
    """The oracle in one pass over `(streams, n)`."""
    right = small_models.oracle(rows[:, :-1], **options)
    return small_models.nll(right["logits"], rows[:, 1:]), right


@pytest.mark.parametrize("segment", [5, 100])
def test_score_does_not_depend_on_the_segment(segment):
    model = small_models.build(dropout=0.5)
    found = score(model, TEXT, segment=segment)
    right, record = single_pass(TEXT[None])
    assert found["nll"].shape == found["look_back"].shape == (1, 1, 23)
    assert found["nll"].dtype == np.float64
    np.testing.assert_allclose(found["nll"][0], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], record["look_back"])


@pytest.mark.parametrize("most", [1, 40, 10_000])
def test_scores_of_logits_in_blocks_are_the_same(most, monkeypatch):
    """One position at a time, three, and all of them."""
    model, predicted = small_models.build(), []
    call = model.call

    def watched(*args, predict=True, **options):
        predicted.append(predict)
        return call(*args, predict=predict, **options)

    monkeypatch.setattr(model, "call", watched)
    scorer = StreamScorer(model, 1, most_logits=most)
    scorer.compile(run_eagerly=True)
    text = {"tokens": TEXT[None, :-1], "targets": TEXT[None, 1:]}
    found = scorer.predict_on_batch(text)
    right, record = single_pass(TEXT[None])
    assert {*predicted} == {most == 10_000}
    np.testing.assert_allclose(found["nll"], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"], record["look_back"])


def test_segments_of_a_length_share_a_program(monkeypatch):
    model, programs = small_models.build(), []
    call = model.call

    def watched(tokens, **options):
        programs.append(tokens)
        return call(tokens, **options)

    monkeypatch.setattr(model, "call", watched)
    score(model, TEXT, num_streams=3, segment=2)
    assert len(programs) == 2  # Of two words, and of the last one.


def test_score_of_several_streams_with_whole_segments():
    # 24 tokens are 3 streams of 8: 7 targets each, 2 segments of 3.
    found = score(
        small_models.build(),
        TEXT,
        num_streams=3,
        segment=3,
        whole_segments=True,
    )
    right, record = single_pass(TEXT.reshape(3, 8)[:, :7])
    assert found["nll"].shape == (1, 3, 6)
    np.testing.assert_allclose(found["nll"][0], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], record["look_back"])


def test_score_without_the_buffer_starts_each_segment_with_h_and_c():
    found = score(small_models.build(), TEXT, segment=6, keep_buffer=False)
    states, right, look_back = None, [], []
    for start in range(0, 23, 6):
        part = TEXT[None, start : min(start + 7, 24)]
        nll, record = single_pass(part, states=states)
        right.append(nll)
        look_back.append(record["look_back"])
        last = record["states"]
        states = [*last[:4], *(np.zeros_like(state) for state in last[4:])]
    right, look_back = (np.concatenate(x, 1) for x in (right, look_back))
    np.testing.assert_allclose(found["nll"][0], right, atol=1e-4)
    np.testing.assert_array_equal(found["look_back"][0], look_back)
    assert np.any(single_pass(TEXT[None])[1]["look_back"] != look_back)


def test_copies_draw_actions_of_their_own():
    model = small_models.build()
    greedy = score(model, TEXT, num_streams=2, copies=3)
    assert greedy["nll"].shape == (3, 2, 11)
    right, record = single_pass(TEXT.reshape(2, 12))
    for copy in range(3):
        np.testing.assert_allclose(greedy["nll"][copy], right, atol=1e-4)
        np.testing.assert_array_equal(
            greedy["look_back"][copy], record["look_back"]
        )
    drawn = score(
        model, TEXT, num_streams=2, copies=3, action_selection="sampled"
    )
    for copy in range(3):
        look_back = drawn["look_back"][copy]
        assert np.any(look_back != drawn["look_back"][copy - 1])
        right, _ = single_pass(TEXT.reshape(2, 12), look_back=look_back)
        np.testing.assert_allclose(drawn["nll"][copy], right, atol=1e-4)


def carried(trainer):
    return [cases.to_numpy(state) for state in trainer.carried.states]


def test_score_leaves_the_model_and_its_training_alone():
    trainer = small_models.trainer(small_models.build())
    trainer.train_on_batch(*small_models.batches(1)[0])
    before = carried(trainer)
    weights = trainer.language_model.get_weights()
    score(trainer.language_model, TEXT)
    for left, right in zip(carried(trainer), before, strict=True):
        np.testing.assert_array_equal(left, right)
    after = trainer.language_model.get_weights()
    for left, right in zip(after, weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_targets_are_the_words_that_were_scored():
    model = small_models.build()
    found = score(model, TEXT, num_streams=2, copies=2)
    rows = TEXT.reshape(2, 12)[:, 1:]
    np.testing.assert_array_equal(found["targets"], [rows, rows])
    cut = score(model, TEXT, num_streams=2, segment=4, whole_segments=True)
    np.testing.assert_array_equal(cut["targets"], rows[None, :, :8])
    assert cut["targets"].shape == cut["nll"].shape


def test_distances_can_be_drawn_in_place_of_the_agents():
    model, shares = small_models.build(), [0.25, 0.0, 0.75]
    text = small_models.text(120, seed=1)
    found = score(
        model, text, num_streams=2, copies=3, look_back_shares=shares, seed=4
    )
    look_back = found["look_back"]
    assert np.any(look_back[0] != look_back[1])
    counts = np.bincount(look_back.ravel(), minlength=4)[1:] / look_back.size
    np.testing.assert_allclose(counts, shares, atol=0.1)
    assert counts[1] == 0.0
    for copy in range(3):
        right, _ = single_pass(text.reshape(2, 60), look_back=look_back[copy])
        np.testing.assert_allclose(found["nll"][copy], right, atol=1e-4)
    previous = score(model, text, look_back_shares=[1.0])
    assert np.all(previous["look_back"] == 1)
    right, _ = single_pass(text[None], look_back=np.ones((1, 119), int))
    np.testing.assert_allclose(previous["nll"][0], right, atol=1e-4)


@pytest.mark.parametrize("shares", [None, [1.0, 1.0, 1.0]])
def test_scores_depend_on_their_seed_alone(shares):
    """Not on what was drawn before, from the model or anywhere else."""
    model = small_models.build(dropout=0.3)
    options = {"action_selection": "sampled", "look_back_shares": shares}
    first = score(model, TEXT, seed=1, **options)
    model(small_models.batches(1)[0][0], training=True)
    np.random.seed(5)
    again = score(model, TEXT, seed=1, **options)
    for key, value in first.items():
        np.testing.assert_array_equal(again[key], value)
    other = score(model, TEXT, seed=2, **options)
    assert np.any(other["look_back"] != first["look_back"])


def random_numbers(model):
    weights = {id(variable) for variable in model.weights}
    return [cases.to_numpy(v) for v in model.variables if id(v) not in weights]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_random_numbers_of_a_model_go_on_as_if_nothing_was_scored(error):
    model = small_models.build(dropout=0.3)
    model(small_models.batches(1)[0][0], training=True)
    before = random_numbers(model)
    assert len(before) == 5 and any(state.any() for state in before)
    seen = []
    try:
        with drawing_from(model, 7):
            seen.extend(random_numbers(model))
            model(small_models.batches(1)[0][0], training=True)
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    for left, right in zip(random_numbers(model), before, strict=True):
        np.testing.assert_array_equal(left, right)
    # No two of its generators draw the same.
    assert len({tuple(state) for state in seen}) == len(seen)


@pytest.mark.parametrize(
    ("length", "batched"), [(73_760, 73_500), (82_430, 81_900)]
)
def test_how_many_tokens_the_published_protocol_scores(length, batched):
    """Validation and test text of the Penn Treebank."""
    layer = dsl.LSTM(1, return_sequences=True, return_state=True)
    model = dsl.LanguageModel(2, [layer], embedding_units=1)
    model.build((1, 1))
    tokens = np.arange(length) % 2
    found = score(
        model, tokens, num_streams=20, segment=35, whole_segments=True
    )
    assert found["nll"].size == batched
    assert not found["look_back"].any()
    rows = streams.batch(tokens, 20)
    assert streams.count_segments(rows, 35) * 20 * 35 == batched
