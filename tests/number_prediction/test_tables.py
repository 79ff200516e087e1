"""Tables and pictures of number prediction, from records made by hand."""

import statistics

import numpy as np
import pytest
from run_folders import cells, make_record

from dsl.experiment import plan
from dsl.experiment.measures import ACCURACY
from dsl.runs import results
from number_prediction import presets
from number_prediction.task import TASK

pytestmark = pytest.mark.backend


def record(test, valid=(0.5, 0.75), seconds=90.0, policy=None, **figures):
    epochs = [
        {"epoch": epoch, "valid_accuracy": share, "seconds": each}
        for epoch, (share, each) in enumerate(
            zip(valid, np.broadcast_to(seconds, len(valid)), strict=True), 1
        )
    ]
    return make_record(
        run_folder="somewhere",
        command=f"python x.py --a 'b|c' {test}\n",
        settings={"symbols": 3, "n_actions": 2, "length": 2},
        seconds=float(np.sum(seconds)),
        epochs=epochs,
        valid={"accuracy": max(valid), "epoch": 1 + valid.index(max(valid))},
        test={"accuracy": test, **figures, "policy": policy},
    )


def make_row(*records, table="T11", name="dynamic-1"):
    (run,) = TASK.tables[table].runs([1], [name])
    args = TASK.parse(run.flags)
    return plan.Row(
        name,
        TASK.of_run(args),
        presets.published(args),
        tuple(f"{name}-{seed}" for seed in range(1, 6)),
        tuple({"name": name, "record": one} for one in records),
    )


# The table.


def lines(rows):
    """The cells of a table, what stands below left out."""
    return cells(plan.render(TASK, rows).split("\n\n")[0])


def test_the_seeds_of_a_row_together():
    each = (0.9, 0.95, 0.7)
    # The lower quartiles: 70, 120, 180.
    seconds = (
        (900.0, 70.0),
        (130.0, 120.0, 800.0),
        (500.0, 90.0, 180.0, 600.0),
    )
    rows = [
        make_row(
            *(
                record(
                    share,
                    valid=(0.25,) * (n - 1) + (0.5 + 0.1 * n, 0.4),
                    seconds=seconds[n - 1],
                    accuracy_sampled_mean=share - 0.1,
                    accuracy_sampled_std=0.3,
                    digit_reached=0.7 + 0.1 * n,
                    hops=0.5 * (n + 1) if n < 3 else 2.0,
                )
                for n, share in enumerate(each, start=1)
            )
        ),
        make_row(record(0.99, seconds=30.0), name="lstm"),
        make_row(name="uniform-1"),
    ]
    table, source, commands = plan.render(TASK, rows).split("\n\n")
    header, *found = cells(table)
    # The rule of the table has no words in it.
    dynamic, lstm, uniform = found
    deviation = 100 * np.std(each, ddof=1)
    assert dict(zip(header, dynamic, strict=False)) == {
        "row": "dynamic-1",
        "model": "dynamic_skip (K=10, λ=1.0, reinforce)",
        "published test": "80.5",
        "test, %": f"85.00 ± {deviation:.2f}",
        "worst seed": "70.00",
        "test, sampled actions": f"75.00 ± {deviation:.2f}",
        "digit reached, %": "90.00 ± 10.00",
        "hops": "1.50 ± 0.50",
        "published dev": "79.6",
        "dev": "70.00 ± 10.00",
        "seeds": "3/5",
        "epochs run (published code: 200)": "3.0",
        "best epoch": "2.0",
        # 2, 3 and 4 epochs of 70, 120 and 180 seconds.
        "training time a run, min": "6.8",
    }
    assert lstm[:10] == [
        *("lstm", "lstm", "70.4", "99.00", "99.00", "-", "-", "-", "69.6"),
        "75.00",
    ]
    assert uniform == [
        *("uniform-1", "dynamic_skip (K=10, λ=1.0, uniform policy)", "-"),
        *("not run", "-", "-", "-", "-", "-", "-", "0/5", "-", "-", "-"),
    ]
    assert source == f"Published: {presets.SOURCE}."
    # What a command holds breaks no line.
    assert commands.splitlines() == [
        "    python x.py --a 'b|c' 0.9\\n",
        "    python x.py --a 'b|c' 0.99\\n",
    ]
    header, *found = cells(plan.render(TASK, rows, brief=True))
    assert header[:3] == ["row", "published", "test, %"]
    # The best of those that are run is in bold.
    assert found[1] == [
        *("lstm", "70.4", "**99.00**", "99.00", "-", "1/5", "1.0")
    ]


def test_the_deviation_is_that_of_a_sample():
    records = [record(share) for share in (0.5, 0.6)]
    # |a - b| / sqrt(2), where n would give |a - b| / 2.
    assert ACCURACY.cell(records) == "55.00 ± 7.07"
    assert ACCURACY.cell(records[:1]) == "50.00"
    assert ACCURACY.cell(records, suffix="_sampled_mean") == "-"


def test_every_row_of_the_plan_has_words_of_its_own():
    for table in TASK.tables:
        rows = plan.load(TASK, "none", table)
        words = [line[1] for line in lines(rows)[1:]]
        assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("table", "figures"),
    [
        ("T11", ["70.4", "72.5", "80.5", "90.5"]),
        ("T21", ["26.4", "26.9", "77.7", "88.5"]),
    ],
)
def test_each_row_of_the_paper_comes_first_and_once(table, figures):
    header, *found = lines(plan.load(TASK, "no", table))
    at = header.index("published test")
    assert [row[at] for row in found[:4]] == figures
    # Further rows are held to the paper by other recipes alone.
    more = [row[0] for row in found[4:] if row[at] != "-"]
    assert more == ["paper-1", "paper-0.5", "published_code"]


def test_a_table_of_nothing_is_not_run():
    for table in TASK.tables:
        header, *found = lines(plan.load(TASK, "no such folder", table))
        at = header.index("test, %")
        assert [row[at] for row in found] == ["not run"] * len(found)


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("test", "accuracy", "x", "`test.accuracy` must be a finite number"),
        ("test", "accuracy", None, "`test.accuracy` is missing"),
        ("valid", "epoch", None, "`valid.epoch` is missing"),
        ("test", "accuracy_sampled_mean", True, "must be a finite number"),
    ],
)
def test_a_wrong_figure_is_one_line(part, key, value, message):
    wrong = record(0.5)
    wrong[part][key] = value
    with pytest.raises(results.ResultError, match=message) as error:
        plan.render(TASK, [make_row(wrong)])
    assert "somewhere" in str(error.value) and "\n" not in str(error.value)


# Curves and policies.


def test_a_curve_and_a_policy_are_checked(figures):
    from dsl.experiment.comparing import learning_curves

    assert learning_curves.curve(record(0.5), TASK.measure) == {1: 0.5, 2: 0.75}
    assert figures.policy(record(0.5)) is None
    shares = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    assert figures.policy(record(0.5, policy=shares)) == shares
    for wrong in (shares[:2], [[1.0]] * 3, [["a", 1.0]] * 3, "abc", [1.0] * 3):
        with pytest.raises(results.ResultError, match="`test.policy` must"):
            figures.policy(record(0.5, policy=wrong))
    assert figures.policy_by_step(record(0.5)) is None
    kept_one = record(0.5, policy_by_step=shares)
    assert figures.policy_by_step(kept_one) == shares
    with pytest.raises(results.ResultError, match="`test.policy_by_step` must"):
        figures.policy_by_step(record(0.5, policy_by_step=shares[:2]))
    for epochs in ([{"epoch": 1}], [3], [{"epoch": "1", "valid_accuracy": 1}]):
        wrong = {**record(0.5), "epochs": epochs}
        with pytest.raises(results.ResultError, match="each of `epochs`"):
            learning_curves.curve(wrong, TASK.measure)


def draw_curves(rows):
    """The picture of what rows measured, epoch by epoch."""
    from dsl.experiment.comparing import learning_curves

    return learning_curves.draw(rows, TASK.measure)


@pytest.fixture
def figures():
    pytest.importorskip("matplotlib")
    from number_prediction import figures

    return figures


def texts(figure):
    from matplotlib.text import Text

    figure.canvas.draw()
    return {found.get_text() for found in figure.findobj(Text)}


def test_accuracy_is_the_mean_in_a_band_of_the_seeds(figures):
    rows = [
        make_row(
            record(0.5, valid=(0.25, 0.5, 0.75)), record(0.5, valid=(0.5, 1.0))
        ),
        make_row(record(0.5), name="lstm"),
        make_row(name="attention"),
    ]
    figure = draw_curves(rows)
    (axes,) = figure.axes
    first, second, *dashed = axes.lines
    np.testing.assert_allclose(
        first.get_xydata(), [(1, 37.5), (2, 75.0), (3, 75.0)]
    )
    np.testing.assert_allclose(second.get_ydata(), [50.0, 75.0])
    band = axes.collections[0].get_paths()[0].vertices
    assert {tuple(x) for x in band} >= {(1, 25), (1, 50), (2, 50), (2, 100)}
    # What the paper reports, also of a row that is not run.
    heights = [line.get_ydata()[0] for line in dashed]
    assert heights == pytest.approx([69.6, 71.3, 79.6])
    shown = texts(figure)
    assert {"dynamic-1 (2 seeds)", "lstm (1 seed)", "epoch"} <= shown
    assert {"paper, LSTM: 69.6", "paper, λ=1: 79.6"} <= shown
    assert "attention (0 seed)" not in shown
    assert draw_curves(rows[2:]) is None


def test_long_runs_are_drawn_on_a_log_scale(figures):
    share = [0.5 + 0.005 * n for n in range(60)]
    figure = draw_curves([make_row(record(0.5, valid=share))])
    assert figure.axes[0].get_xscale() == "log"
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["1", "2", "5", "10", "20", "50"]
    assert "epoch (log scale)" in texts(figure)


def test_no_two_rows_of_a_table_look_alike(figures):
    for table, planned in TASK.tables.items():
        rows = [
            make_row(record(0.5), table=table, name=name)
            for name in planned.plans
        ]
        lines = draw_curves(rows).axes[0].lines[: len(rows)]
        looks = {
            (x.get_color(), x.get_linestyle(), x.get_marker()) for x in lines
        }
        assert len(looks) == len(rows)


def test_a_policy_is_the_mean_over_seeds(figures):
    def agent(shares):
        found = record(0.5, policy=shares)
        return {**found, "settings": {"symbols": 10, "n_actions": 10}}

    first, second = np.eye(10), np.fliplr(np.eye(10))
    both = make_row(agent(first.tolist()), agent(second.tolist()))
    plain = make_row(record(0.5), name="lstm")
    figure = figures.policies([both, plain, make_row(name="paper-1")])
    panel, bar = figure.axes
    (image,) = panel.images
    np.testing.assert_allclose(image.get_array(), (first + second) / 2)
    assert image.get_clim() == (0.0, 1.0)
    # Pointer b leads 10 - b steps back.
    (rings,) = panel.lines
    assert rings.get_xydata().tolist() == [[10 - b, b] for b in range(10)]
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == (0.5, 10.5, 9.5, -0.5)
    assert (
        bar.get_ylabel()
        == "share of sampled actions\nring: the digit pointed to"
    )
    assert "dynamic-1 (2 seeds)" in texts(figure)
    assert figures.policies([plain]) is None
    assert figures.policies_by_step([both]) is None
    # Seeds that have kept none do not count.
    more = figures.policies([make_row(*both.records, record(0.5))])
    assert "dynamic-1 (2 seeds)" in texts(more)


def test_a_policy_by_step(figures):
    shares = np.roll(np.eye(11), 3, axis=0)[:, :10]
    found = record(0.5, policy_by_step=shares.tolist())
    found["settings"] = {"symbols": 10, "n_actions": 10, "length": 10}
    figure = figures.policies_by_step([make_row(found)])
    panel, bar = figure.axes
    np.testing.assert_array_equal(panel.images[0].get_array(), shares)
    assert panel.images[0].get_extent() == [0.5, 10.5, 10.5, -0.5]
    assert not panel.lines and bar.get_ylabel() == "share of greedy actions"


@pytest.mark.parametrize(
    ("table", "name", "rings"),
    [("T21_start", "dynamic-1", 0), ("T21_start", "dynamic-1-K20", 10)]
    + [("T51", "dynamic-1", 0), ("T101", "dynamic-1", 10)],
)
def test_rings_stand_where_the_digit_can_be_reached(
    figures, table, name, rings
):
    row = make_row(table=table, name=name)
    shape = row.settings["symbols"], row.settings["n_actions"]
    agent = record(0.5, policy=np.full(shape, 1 / shape[1]).tolist())
    agent["settings"] = row.settings
    figure = figures.policies([make_row(agent, table=table, name=name)])
    found = [len(line.get_xdata()) for line in figure.axes[0].lines]
    assert sum(found) == rings
    assert ("ring" in figure.axes[-1].get_ylabel()) == bool(rings)
    assert statistics.fmean(figure.axes[0].get_xlim()) == (shape[1] + 1) / 2
