import dataclasses
import json
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import benchmark
import render
from benchmarking import operations, plan, report, text, timing

from dsl.experiment import entry

TINY = plan.Size(
    "tiny",
    units=6,
    steps=7,
    dropout=0.1,
    batch=3,
    vocabulary=11,
    policy_units=4,
    encoder=plan.Encoder((1, 2), (3, 2), 1, 9, 4, 5),
)
TINY_NUMBERS = plan.NumberSize(
    "tiny numbers", units=6, steps=7, batch=3, symbols=5, policy_units=4
)


def named(model):
    """The contenders of the table of steps of a model, by name."""
    return {contender.name: contender for contender in plan.STEP[model]}


NAMED = named("language_model")
NUMBERS = named("number_prediction")


# The operation count.


@pytest.mark.backend
def test_product():
    assert operations.product(2, 3, 5) == 60


@pytest.mark.backend
def test_flops_of_the_plain_model():
    # 21 predictions; per layer 6 -> 24 twice, then 6 -> 11.
    forward = 21 * (4 * 6 * 24 + 6 * 11)
    for name in ("ours plain", "keras plain", "torch plain"):
        assert operations.step_flops(NAMED[name], TINY) == 2 * 3 * forward


@pytest.mark.backend
def test_flops_of_the_agent():
    plain = operations.step_flops(NAMED["ours plain"], TINY)
    dynamic = operations.step_flops(NAMED["ours dynamic"], TINY)
    agent = 21 * (2 * 6 * 4 + 3 * 6 * 4 + 4 * 4 * 5) + 3 * 7 * 7
    assert dynamic == plain + 2 * agent


@pytest.mark.backend
def test_flops_of_other_readers():
    plain = operations.step_flops(NAMED["ours plain"], TINY)
    fixed = operations.step_flops(NAMED["ours fixed skip"], TINY)
    attention = operations.step_flops(NAMED["ours attention"], TINY)
    assert fixed == plain
    scores = 21 * 3 * (6 * 4 + 6 * 4 + 4 * 5) + 2 * 3 * 6 * 4
    assert attention == plain + 2 * scores


@pytest.mark.backend
def test_flops_of_characters():
    plain = operations.step_flops(NAMED["ours plain"], TINY)
    found = operations.step_flops(NAMED["ours plain, characters"], TINY)
    words, _ = text.batch(TINY, text.integers())
    n = len(set(words.ravel().tolist()))
    assert 1 < n <= 11
    windows = n * 6 * (1 * 4 * 3 + 2 * 4 * 2)
    # Five outputs, one fewer than what words have.
    added = windows + n * 2 * 5 * 5 - 21 * 1 * 24
    assert found == plain + 2 * 3 * added


@pytest.mark.backend
def test_words_are_those_of_a_text():
    size = dataclasses.replace(TINY, batch=100, steps=1000, vocabulary=50)
    words, following = text.batch(size, text.integers())
    assert words.dtype == following.dtype == np.int32
    assert words.shape == (100, 1000) and np.any(words != following)
    shares = np.bincount(words.ravel(), minlength=50) / words.size
    first = np.arange(1, 51)
    law = np.log((first + 1) / first) / np.log(51)
    np.testing.assert_allclose(shares, law, atol=0.005)
    listed = text.listed(words)
    assert len(set(listed["words"].tolist())) == len(listed["words"])
    np.testing.assert_array_equal(listed["words"][listed["tokens"]], words)


@pytest.mark.backend
def test_flops_of_the_classifier():
    # One-hot symbols have no gradient; the readout is of the last step alone.
    layer = 21 * (2 * 5 * 24 + 3 * 6 * 24)
    plain = 2 * (layer + 3 * 3 * 6 * 5)
    for name in ("ours plain", "keras plain", "keras plain, not compiled"):
        assert operations.step_flops(NUMBERS[name], TINY_NUMBERS) == plain
    agent = 21 * (2 * 5 * 4 + 3 * 6 * 4 + 4 * 4 * 10) + 3 * 7 * 7
    dynamic = operations.step_flops(NUMBERS["ours dynamic"], TINY_NUMBERS)
    assert dynamic == plain + 2 * agent


def convolution(outputs, kernel):
    """Of a convolution, or of one of its gradients."""
    return 2 * int(np.prod(outputs)) * int(np.prod(kernel[:-1]))


def graph_flops(graph, steps):
    """Counts the products of a TensorFlow graph that any result needs."""
    needed, found = set(), [x.op for x in graph.outputs] + graph.control_outputs
    while found:
        op = found.pop()
        if op not in needed:
            needed.add(op)
            found += [x.op for x in op.inputs] + op.control_inputs
    flops = 0
    for op in needed:
        if op.type.startswith(("MatMul", "BatchMatMul")):
            left = op.inputs[0].shape
            inner = left[0 if op.get_attr("transpose_a") else 1]
            flops += 2 * inner * int(np.prod(op.outputs[0].shape))
        if op.type == "Conv2D":
            flops += convolution(op.outputs[0].shape, op.inputs[1].shape)
        if op.type == "Conv2DBackpropInput":
            flops += convolution(op.inputs[2].shape, op.inputs[1].shape)
        if op.type == "Conv2DBackpropFilter":
            flops += convolution(op.inputs[2].shape, op.outputs[0].shape)
        for key, times in (("f", 1), ("body", steps)):
            if key in op.node_def.attr and op.node_def.attr[key].func.name:
                name = op.get_attr(key).name
                inside = graph._get_function(name).graph
                flops += times * graph_flops(inside, steps)
    return flops


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (TINY, "ours dynamic"),
        (TINY, "ours dynamic, straight-through"),
        (TINY, "ours dynamic, two rollouts"),
        (TINY, "ours fixed skip"),
        (TINY, "ours attention"),
        (TINY, "ours plain"),
        (TINY, "ours plain, characters"),
        (TINY, "keras plain"),
        (TINY_NUMBERS, "ours dynamic"),
        (TINY_NUMBERS, "ours plain"),
        (TINY_NUMBERS, "keras plain"),
    ],
)
def test_flops_are_those_of_the_graph_that_runs(size, name):
    tf = pytest.importorskip("tensorflow")
    from benchmarking import contenders

    contender = named(size.model)[name]
    trainer = contenders.keras_trainer(contender, size)
    if not trainer.built:
        trainer.build((size.batch, size.steps))
        trainer.optimizer.build(trainer.trainable_variables)
    x, y = tf.nest.map_structure(tf.constant, contenders.batch(contender, size))
    traced = tf.function(trainer.train_step, autograph=False)
    graph = traced.get_concrete_function((x, y)).graph
    counted = graph_flops(graph, size.steps)
    assert counted == operations.step_flops(contender, size)


# What is timed.


@pytest.mark.parametrize(
    "name",
    ["ours dynamic", "ours plain, characters", "keras plain", "torch plain"],
)
def test_a_step_trains(name):
    if name == "torch plain":
        pytest.importorskip("torch")
    from benchmarking import contenders

    contender = NAMED[name]
    step = contenders.build(contender, TINY, cores=1)
    losses = [step() for _ in range(20)]
    assert losses[0] == pytest.approx(7 * np.log(11), rel=0.1)
    assert losses[-1] < losses[0]


def test_a_step_of_number_prediction_trains():
    from benchmarking import contenders

    contender = NUMBERS["ours dynamic"]
    trainer = contenders.keras_trainer(contender, TINY_NUMBERS)
    batch = contenders.batch(contender, TINY_NUMBERS)

    def train(count):
        trainer.begin_epoch()
        for _ in range(count):
            trainer.train_on_batch(*batch)
        return trainer.read_statistics()["loss"]

    first, _, last = (train(40) for _ in range(3))
    assert 0.0 < last < first


@pytest.mark.backend
def test_the_step_of_number_prediction_is_that_of_its_program():
    import keras
    from benchmarking import contenders

    from number_prediction import model as building
    from number_prediction.task import TASK

    size = plan.SIZES["numbers"]
    args = TASK.parse(["--lamda", "1"])
    program = building.build_trainer(args, building.build_model(args))
    found = {
        name: contenders.keras_trainer(contender, size)
        for name, contender in NUMBERS.items()
    }
    ours = found["ours dynamic"]
    assert ours.signal.get_config() == program.signal.get_config()
    for key in ("optimizer", "policy_optimizer"):
        mine, theirs = (getattr(x.optimizer, key) for x in (ours, program))
        assert type(mine) is type(theirs) is keras.optimizers.Adam
        assert float(mine.learning_rate) == float(theirs.learning_rate)
        assert mine.epsilon == theirs.epsilon
    layers = [
        x.classifier.recurrent_layers[0].get_config() for x in (ours, program)
    ]
    for key, value in layers[1].items():
        if "initializer" not in key and key != "seed":
            assert layers[0][key] == value, key
    assert (ours.batch_size, args.length) == (program.batch_size, 10)
    for name, trainer in found.items():
        assert trainer.jit_compile == ("not compiled" not in name)
        assert type(trainer) is type(program)
    layer = found["keras plain"].classifier.recurrent_layers[0]
    assert type(layer) is keras.layers.LSTM
    counts = [
        found[name].classifier.count_params()
        for name in ("ours plain", "keras plain")
    ]
    assert counts[0] == counts[1] == 4 * 200 * (10 + 200 + 1) + 201 * 10


@pytest.mark.backend
def test_jobs_of_number_prediction():
    sizes = [plan.SIZES["numbers"], plan.SIZES["small"]]
    jobs = plan.jobs(sizes, [1], 9, with_growth=True)
    assert [(job.table, job.size.name) for job in jobs] == [
        ("step", "number prediction"),
        ("growth", "number prediction"),
        ("growth", "number prediction"),
        ("step", "small"),
        ("growth", "small"),
    ]
    assert [(c.kind, c.compiled) for c in jobs[0].contenders] == [
        ("dynamic", True),
        ("plain", True),
        ("keras", True),
        ("dynamic", False),
        ("plain", False),
        ("keras", False),
    ]
    assert len({c.name for c in jobs[0].contenders}) == 6
    grown = [
        [(c.num_actions, c.resized(job.size).steps) for c in job.contenders]
        for job in jobs[1:3]
    ]
    assert grown == [
        [(10, 51), (20, 51), (50, 51)],
        [(10, 11), (10, 21), (10, 51), (10, 101)],
    ]
    (step,) = plan.jobs(
        sizes[:1], [1], 9, with_growth=False, with_uncompiled=False
    )
    assert [c.kind for c in step.contenders] == ["dynamic", "plain", "keras"]


@pytest.mark.backend
def test_jobs():
    sizes = [plan.SIZES["small"], plan.SIZES["medium"]]
    jobs = plan.jobs(sizes, [1, 2], 9, with_growth=True, with_torch=False)
    assert [(job.table, job.size.name, job.cores) for job in jobs] == [
        ("step", "small", 1),
        ("step", "medium", 1),
        ("growth", "medium", 1),
        ("step", "small", 2),
        ("step", "medium", 2),
        ("growth", "medium", 2),
    ]
    assert {job.rounds for job in jobs} == {9}
    kinds = [contender.kind for contender in jobs[0].contenders]
    readers = ["fixed_skip", "attention"]
    assert kinds == [*["dynamic"] * 3, *readers, "plain", "plain", "keras"]
    grown = [
        (c.num_actions, c.resized(jobs[2].size).steps)
        for c in jobs[2].contenders
    ]
    assert grown == [(5, 35), (10, 35), (50, 35), (5, 70), (5, 140)]


def test_number_prediction_is_measured():
    job = plan.Job(
        table="step",
        size=TINY_NUMBERS,
        contenders=(NUMBERS["ours plain"], NUMBERS["keras plain"]),
        cores=1,
        rounds=2,
        matmul=(20, 30, 40),
    )
    table = timing.measure(job)
    assert (table["table"], table["model"]) == ("step", "number_prediction")
    for row, contender in zip(table["rows"], job.contenders, strict=True):
        assert row["name"] == contender.name and row["compiled"] is True
        assert row["steps"] == 7 and len(row["seconds"]) == 2
        assert row["first_seconds"] > min(row["seconds"]) > 0.0
    text = report.render(make_record(table))
    assert "## Training step, tiny numbers, 7 steps, 1 core\n" in text


@pytest.mark.backend
def test_timers_take_turns():
    order, lines = [], []

    def timer(name):
        def run():
            order.append(name)
            return float(len(order))

        return run

    timers = {name: timer(name) for name in "abc"}
    taken = timing.take_turns(timers, 6, lines.append)
    turns = [order[n : n + 3] for n in range(0, 21, 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 2
    # The first turn does not count.
    for name, seconds in taken.items():
        assert [order[int(s) - 1] for s in seconds] == [name] * 6
        assert min(seconds) > 3
    assert lines == ["round 1 of 6", "round 6 of 6"]


# The tables.


def measured(table="step", rows=None):
    """What three rounds might have given; the machine slows down in two."""
    size = {"name": "medium", "units": 650, "steps": 35, "dropout": 0.5}
    rows = rows or {
        "ours dynamic": [2.0, 5.0, 3.0],
        "keras plain": [4.0, 8.0, 4.0],
    }
    return {
        "table": table,
        "cores": 1,
        "size": {**size, "batch": 20, "vocabulary": 10_000},
        # 2e9, 1e9 and 2e9 operations a second.
        "matmul": {"shape": [1000, 1000, 1000], "seconds": [1.0, 2.0, 1.0]},
        "rows": [
            {
                "name": name,
                "kind": name.split()[0],
                "num_actions": 5,
                "steps": 35,
                "flops": 4_000_000_000,
                "first_seconds": 7.25,
                "seconds": seconds,
            }
            for name, seconds in rows.items()
        ],
    }


def make_record(*tables):
    return {
        "command": "python scripts/benchmark.py",
        "backend": "tensorflow",
        "machine": {"cpu": "A Processor", "cores": 2},
        "versions": {"python": "3.11.7", "keras": "3.15.1"},
        "tables": [report.summarize(table) for table in tables],
    }


def table_cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in x.strip("|").split("|")] for x in lines]


@pytest.mark.backend
def test_ratios_are_taken_within_a_round():
    ours, keras = report.summarize(measured())["rows"]
    assert (ours["median"], ours["min"], ours["limit"]) == (3.0, 2.0, 2.0)
    assert ours["x_limit"] == 1.25  # of 2 / 2, 5 / 4, 3 / 2
    assert ours["x_limit_best"] == 1.0
    assert ours["x_reference"] == 0.625  # of 2 / 4, 5 / 8, 3 / 4
    assert ours["x_first"] == keras["x_reference"] == 1.0
    assert keras["x_first"] == 1.6


@pytest.mark.backend
def test_the_reference_is_the_faster_of_its_rows():
    rows = {
        "ours dynamic": [2.0, 4.0, 2.0],
        "keras plain": [4.0, 8.0, 4.0],
        "keras plain, not compiled": [1.0, 9.0, 1.0],
    }
    found = report.summarize(measured(rows=rows))["rows"]
    assert [row["x_reference"] for row in found] == [2.0, 4.0, 1.0]
    del rows["keras plain"], rows["keras plain, not compiled"]
    (found,) = report.summarize(measured(rows=rows))["rows"]
    assert found["x_reference"] is None


@pytest.mark.backend
def test_the_rate_is_that_of_the_product():
    matmul = report.summarize(measured())["matmul"]
    assert matmul["flops_per_second"] == 2e9
    assert matmul["best_flops_per_second"] == 2e9


@pytest.mark.backend
def test_table_of_steps():
    text = report.render(make_record(measured()))
    assert text.startswith(
        "A Processor, 2 cores; Keras on tensorflow; "
        "python 3.11.7, keras 3.15.1."
    )
    assert "## Training step, medium, 35 steps, 1 core\n" in text
    assert "2 x 650 units, 20 streams, 10,000 words, dropout 0.5" in text
    assert "median of 3 rounds; product 1000 x 1000 x 1000 at 2 GFLOP" in text
    assert text.endswith("    python scripts/benchmark.py")
    heading, _, ours, keras = table_cells(text)
    assert dict(zip(heading, ours, strict=True)) == {
        "implementation": "ours dynamic",
        "median ms": "3000.0",
        "min ms": "2000.0",
        "x keras plain": "0.62",
        "x limit": "1.25",
        "limit ms": "2000.0",
        "GFLOP": "4.00",
        "first step s": "7.2",
    }
    assert keras[:4] == ["keras plain", "4000.0", "4000.0", "1.00"]


@pytest.mark.backend
def test_tables_of_growth():
    table = measured(
        "growth",
        {"ours": [1.0, 2.0, 1.0], "K": [2.0, 2.0, 2.0], "T": [3.0, 8.0, 3.0]},
    )
    table["rows"][1]["num_actions"] = 50
    table["rows"][2]["steps"] = 70
    text = report.render(make_record(table))
    assert "## Growth with K, medium, T = 35, 1 core\n" in text
    assert "## Growth with T, medium, K = 5, 1 core\n" in text
    rows = [row[:4] for row in table_cells(text)]
    assert rows == [
        ["K", "median ms", "min ms", "x first"],
        ["--:", "--------:", "-----:", "------:"],
        ["5", "1000.0", "1000.0", "1.00"],
        ["50", "2000.0", "2000.0", "2.00"],
        ["T", "median ms", "min ms", "time per T, x first"],
        ["--:", "--------:", "-----:", "------------------:"],
        ["35", "1000.0", "1000.0", "1.00"],
        ["70", "3000.0", "3000.0", "1.50"],
    ]


@pytest.mark.backend
def test_tables_of_number_prediction():
    table = number_table()
    text = report.render(make_record(table))
    assert "## Training step, number prediction, 11 steps, 1 core\n" in text
    assert (
        "Classifier of 1 x 200 units, 100 sequences, 10 one-hot symbols, "
        "agent of 10 units, Adam; median of 3 rounds; "
    ) in text
    assert "GFLOP/s. K = 10; compiled with XLA, unless a row says not." in text
    assert "x keras plain: to the faster of its rows." in text
    rows = [[row[0], row[3]] for row in table_cells(text)]
    assert rows[2:] == [["ours dynamic", "0.62"], ["keras plain", "1.00"]]
    grown = number_table()
    grown["table"] = "growth"
    grown["rows"][1]["steps"] = 22
    text = report.render(make_record(grown))
    assert "## Growth with T, number prediction, K = 10, 1 core\n" in text
    assert "Growth with K" not in text


def number_table():
    size = dataclasses.asdict(plan.SIZES["numbers"])
    table = {**measured(), "model": "number_prediction", "size": size}
    for row in table["rows"]:
        row.update(num_actions=10, steps=11)
    return table


@pytest.fixture
def block(tmp_path, monkeypatch):
    """Function from tables to what a block of a page renders them to."""
    monkeypatch.setattr(render, "ROOT", tmp_path)
    (tmp_path / "results").mkdir()

    def rendered(name, *tables):
        path = tmp_path / "results" / render.BENCHMARKS[name][0]
        path.write_text(json.dumps(make_record(*tables)), "utf-8")
        text = render.render("results", name)
        path.unlink()
        return text

    return rendered


@pytest.mark.backend
def test_each_block_has_the_tables_of_its_model(block):
    # As it was kept before there were two models.
    old, new = measured(), number_table()
    assert "model" not in old
    for name in ("benchmark", "benchmark_medium"):
        text = block(name, old, new)
        assert text.count("### ") == 1 and "2 x 650 units" in text
    text = block("benchmark_numbers", old, new)
    assert text.count("### ") == 1 and "number prediction" in text
    assert block("benchmark_numbers", old) == "not measured"


# The command.


@pytest.mark.backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "must be an integer at least 1 "),
        (["--sizes", "large"], "invalid choice: 'large'"),
        (["--cores", "3"], "invalid choice: '3'"),
        (
            ["--out", "."],
            "--out: must be a file that can be written. Received: '.', Is a ",
        ),
    ],
)
def test_a_wrong_option_is_one_line(options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.parse_args(options)
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in last and message in last


@pytest.mark.backend
def test_an_unknown_backend_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(SystemExit) as stop:
        benchmark.parse_args([])
    assert stop.value.code == 2
    assert "Received: 'torch'" in capsys.readouterr().err.splitlines()[-1]


def test_a_whole_run_leaves_a_record(tmp_path, capsys):
    out = tmp_path / "new" / "benchmark.json"
    args = benchmark.parse_args(["--out", str(out), "--rounds", "2"])
    job = plan.Job(
        table="step",
        size=TINY,
        contenders=(NAMED["ours plain"], NAMED["keras plain"]),
        cores=1,
        rounds=args.rounds,
        matmul=(20, 30, 40),
    )
    assert benchmark.run(args, [job]) == 0
    shown = capsys.readouterr().out
    record = json.loads(out.read_text())
    assert shown == report.render(record) + "\n"
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert record["backend"] == args.backend and record["machine"]["cpu"]
    (table,) = record["tables"]
    assert table["size"]["name"] == "tiny" and table["cores"] == 1
    assert table["model"] == "language_model"
    for row in table["rows"]:
        assert len(row["seconds"]) == 2
        assert min(row["seconds"]) == row["min"] > 0.0
        assert row["first_seconds"] > row["median"]


def test_a_process_that_fails_is_one_line(tmp_path, capfd):
    args = benchmark.parse_args(["--out", str(tmp_path / "benchmark.json")])
    # Without a contender there is nothing to build.
    job = plan.Job("step", TINY, (None,), cores=1, rounds=1)
    code = entry.in_words("benchmark.py", lambda: benchmark.run(args, [job]))
    assert code == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == (
        "benchmark.py: the process that timed step, tiny ended early with "
        "exit code 1."
    )
    assert not any(tmp_path.iterdir())


def tell_mask(job, backend, sender):
    """In the place of a measurement: the signals that are blocked."""
    sender.send(blocked())


def blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.backend
def test_ctrl_c_of_the_terminal_is_heard_by_one_process(monkeypatch):
    """It reaches them all, and one ends the others."""
    monkeypatch.setattr(timing, "_measure_held", tell_mask)
    before = blocked()
    assert timing.run(None, "tensorflow") == before | {signal.SIGINT}
    assert blocked() == before


@pytest.mark.backend
def test_ctrl_c_is_heard_where_a_process_does_not_start():
    before = blocked()
    # It cannot be handed to another process.
    with pytest.raises((AttributeError, pickle.PicklingError)):
        timing.run(lambda: None, "tensorflow")
    assert signal.SIGINT not in before
    assert blocked() == before
