"""What a training tells while it goes on."""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dsl.training import reporting
from dsl.training.progress import Progress


@pytest.fixture
def lines():
    return []


def tell(loss, pace):
    return f"loss {loss:.2f}  {60 * pace:.0f} tokens/s"


def report(lines, every=2, terminal=False):
    return reporting.ProgressReport(lines.append, every, tell, terminal)


def steps(shown, epoch, numbers, of):
    for step in numbers:
        shown.on_step(Progress(epoch, step, seconds=step / 4), of, 33.333)


def test_a_line_every_so_many_steps_off_a_terminal(lines, capsys):
    shown = report(lines)
    steps(shown, 3, range(1, 6), 5)
    # 60 words a step, 4 steps a second.
    assert lines == [
        "epoch 3  step 2/5  loss 33.33  240 tokens/s  1 s left",
        "epoch 3  step 4/5  loss 33.33  240 tokens/s  0 s left",
    ]
    steps(shown, 4, [1, 2], 5)
    assert lines[2].startswith("epoch 4  step 2/5 ") and len(lines) == 3
    shown.close()
    assert capsys.readouterr() == ("", "")


def test_a_run_that_goes_on_in_the_middle_tells_the_pace_of_the_epoch(lines):
    steps(report(lines, every=1), 2, [4], 5)
    assert lines == ["epoch 2  step 4/5  loss 33.33  240 tokens/s  0 s left"]


def test_what_is_told_is_worked_out_for_lines_alone(lines):
    asked = []

    def tell(loss, pace):
        asked.append(len(lines))
        return ""

    shown = reporting.ProgressReport(lines.append, 3, tell, False)
    steps(shown, 1, range(1, 8), 7)
    assert asked == [0, 1]


def test_a_bar_on_a_terminal(lines, capsys):
    shown = report(lines, every=1000, terminal=True)
    steps(shown, 2, range(31, 42), 50)
    shown.log("epoch 1 is done")
    steps(shown, 2, range(42, 51), 50)
    drawn = capsys.readouterr().err
    assert lines == ["epoch 1 is done"]
    assert "epoch 2:" in drawn
    # It begins where an interrupted epoch goes on.
    assert [30, 50] in [
        [int(n) for n in found] for found in re.findall(r"(\d+)/(\d+)", drawn)
    ]
    assert "loss 33.33  240 tokens/s" in drawn
    # The epoch is over: the bar is gone, and the next one has its own.
    assert drawn.rstrip().endswith("\r") or drawn.endswith("\r")
    steps(shown, 3, [1], 50)
    shown.close()
    assert "epoch 3:" in capsys.readouterr().err


def test_closing_twice_does_nothing(lines, capsys):
    shown = report(lines, terminal=True)
    steps(shown, 1, [1], 5)
    shown.close()
    capsys.readouterr()
    shown.close()
    report(lines).close()
    assert capsys.readouterr() == ("", "")


ENTRIES = [
    {"epoch": 1, "valid_perplexity": 9.5, "shares": [0.75, 0.25]},
    {"epoch": 2, "valid_perplexity": 8.25, "shares": [0.5, 0.5]},
]


def curves(folder):
    """What TensorBoard finds in a folder, by name."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    read = accumulator.EventAccumulator(
        str(folder), size_guidance={"tensors": 0, "scalars": 0}
    )
    read.Reload()
    found = {}
    for tag in read.Tags()["tensors"]:
        found[tag] = [
            (event.step, event.tensor_proto.float_val[0])
            for event in read.Tensors(tag)
        ]
    for tag in read.Tags()["scalars"]:
        found[tag] = [(event.step, event.value) for event in read.Scalars(tag)]
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_event_files_hold_one_point_an_epoch(tmp_path):
    pytest.importorskip("tensorboard")
    for entries in (ENTRIES[:1], ENTRIES):
        # A run that goes on writes its finished epochs anew.
        events = reporting.EventLog(tmp_path / "events")
        for entry in entries:
            events.write(entry)
        events.close()
    assert curves(tmp_path / "events") == {
        "epoch": [(1, 1.0), (2, 2.0)],
        "valid_perplexity": [(1, 9.5), (2, 8.25)],
        "shares/1": [(1, 0.75), (2, 0.5)],
        "shares/2": [(1, 0.25), (2, 0.5)],
    }


class Writer:
    """Makes an event file as that of TensorBoard does."""

    made = 0

    def __init__(self, folder):
        Writer.made += 1
        name = f"events.out.tfevents.{Writer.made}.host.{os.getpid()}.0"
        Path(folder, name).write_text("ours")

    def close(self):
        pass


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.setitem(
        sys.modules, "tensorboard.summary", SimpleNamespace(Writer=Writer)
    )


def test_event_files_of_others_stay(writer, tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    other = "events.out.tfevents.1.host.2.3"
    (folder / other).write_text("mine")
    (tmp_path / "target").write_text("mine")
    for _ in range(3):
        reporting.EventLog(folder).close()
        (name,) = json.loads((folder / "written.json").read_text())
        names = {path.name for path in folder.iterdir()}
        assert names == {other, name, "written.json"}
    # A link in the place of one that was written.
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "target")
    reporting.EventLog(folder).close()
    assert (folder / name).is_symlink()
    assert (folder / other).read_text() == "mine"
    assert (tmp_path / "target").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["", "{", "3", '["../target", 3, null]', b"\xff", "[" * 10**5]
)
def test_a_list_of_event_files_that_is_none(text, writer, tmp_path):
    (tmp_path / "target").write_text("mine")
    folder = tmp_path / "events"
    folder.mkdir()
    text = text if isinstance(text, bytes) else text.encode()
    (folder / "written.json").write_bytes(text)
    reporting.EventLog(folder).close()
    assert len(list(folder.iterdir())) == 2
    assert (tmp_path / "target").read_text() == "mine"


def test_a_folder_of_events_that_is_a_link(writer, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "events.out.tfevents.1.host.2.3").touch()
    (tmp_path / "events").symlink_to("mine")
    with pytest.raises(OSError, match="is a link") as error:
        reporting.EventLog(tmp_path / "events")
    assert error.value.filename == str(tmp_path / "events")
    assert len(list((tmp_path / "mine").iterdir())) == 1
