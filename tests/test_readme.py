import importlib.util
import os
import re
import runpy
from pathlib import Path

import pytest
from run_folders import cells, make_number_run, make_run, make_text
from small_files import endless

from copy_task.task import TASK as COPIES
from dsl.experiment import plan, reproduction
from language_modeling.task import TASK as LANGUAGE
from number_prediction.task import TASK as NUMBERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "language_modeling/README.md",
    "number_prediction/README.md",
    "copy_task/README.md",
    "data/README.md",
)


@pytest.fixture
def load(monkeypatch):
    """Function from the name of a script to its module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))

    def module(name):
        path = ROOT / "scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found

    return module


@pytest.fixture
def render(load):
    """scripts/render.py as a module."""
    return load("render")


def test_the_example_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1
    script = tmp_path / "example.py"
    script.write_text(blocks[0], encoding="utf-8")
    names = runpy.run_path(str(script))
    assert names["model"].count_params() > 168_800
    assert names["labels"].shape == (512,)


def test_the_page_on_files_is_wrapped():
    lines = (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    assert [x for x in lines if len(x) > 80 and not x.startswith("|")] == []


@pytest.mark.parametrize("page", (*PAGES, "SECURITY.md"))
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)
    missing = [
        link
        for link in links
        if not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert not missing


@pytest.fixture
def known_flags(load):
    """Of each task, the flags that may stand behind each program."""
    from language_modeling import gradient_norms
    from number_prediction import produce_data

    numbers = NUMBERS.flags.make_parser()
    of_tables = {"reproduce": reproduction.make_parser()}
    parsers = {
        "language_modeling": {
            "RL_train.py": LANGUAGE.flags.make_parser(),
            "gradient_norms.py": gradient_norms.make_parser(),
            **{
                name: load(name.removesuffix(".py")).make_parser()
                for name in (
                    "check_resume.py",
                    "compare",
                    "keep.py",
                    "overhead.py",
                )
            },
            **of_tables,
        },
        "number_prediction": {
            "train_RL10_1.py": numbers,
            "train_RL20_1.py": numbers,
            "produce_data.py": produce_data.make_parser(),
            **{
                name: load(name.removesuffix(".py")).make_parser()
                for name in ("benchmark.py", "compare")
            },
            **of_tables,
        },
        "copy_task": {"train.py": COPIES.flags.make_parser(), **of_tables},
    }
    known = {
        task: {
            name: set(parser._option_string_actions)
            for name, parser in programs.items()
        }
        for task, programs in parsers.items()
    }
    # After a `--`, they take those of a training.
    of_words = known["language_modeling"]
    for name in ("check_resume.py", "overhead.py"):
        of_words[name] |= of_words["RL_train.py"]
    return known


def flags_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def examples_in(text):
    """The program of each command line of a page, and what follows it."""
    # Names with a task are those that earlier pages told.
    return re.findall(
        r"^    (?:python )?\w+/(reproduce(?=_)|\S+)(.*)$", text, re.MULTILINE
    )


@pytest.mark.parametrize(
    "task", ["language_modeling", "number_prediction", "copy_task"]
)
def test_every_flag_in_the_page_of_a_task_exists(known_flags, task):
    """And each of its programs has an example there."""
    text = (ROOT / task / "README.md").read_text("utf-8")
    lines = [x for x in text.splitlines() if not x.startswith("| ---")]
    found = flags_in("\n".join(lines))
    assert found and found <= set().union(*known_flags[task].values())
    assert {name for name, _ in examples_in(text)} == set(known_flags[task])


@pytest.mark.parametrize("page", PAGES)
def test_every_example_has_the_flags_of_its_program(known_flags, page):
    known = {}
    for programs in known_flags.values():
        known |= programs
    shell = {"demo", "test"}
    examples = [
        (name, line)
        for name, line in examples_in((ROOT / page).read_text("utf-8"))
        if name not in shell
    ]
    assert examples and {name for name, _ in examples} <= set(known)
    wrong = [
        (name, line)
        for name, line in examples
        if not flags_in(line) <= known[name]
    ]
    assert not wrong


def test_the_tables_are_what_the_records_say(render, capsys):
    assert render.main(render.parse_args(["--check"])) == 0, capsys.readouterr()


def test_every_table_of_the_plans_is_shown():
    page = (ROOT / "results" / "RESULTS.md").read_text("utf-8")
    blocks = re.findall("<!-- results: (.*) -->", page)
    wanted = [
        f"{task.name}/{name}"
        for task in (LANGUAGE, NUMBERS, COPIES)
        for name in task.tables
    ]
    assert not {*wanted} - {*blocks}


def test_a_stale_table_is_found_and_written(render, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- results: x -->\nold\n<!-- end -->\nb\n", "utf-8")

    def new(kind, name):
        return f"new {name}"

    assert not render.refresh(page, True, new)
    assert "old" in page.read_text("utf-8")
    assert not render.refresh(page, False, new)
    assert page.read_text("utf-8").splitlines()[1:4] == [
        "<!-- results: x -->",
        "new x",
        "<!-- end -->",
    ]
    assert render.refresh(page, True, new)


# A table of language modeling.

PAGE = """<!-- results: language_modeling/small -->
old
<!-- end -->
<!-- results: language_modeling/medium -->
old
<!-- end -->
"""


@pytest.fixture
def project(render, tmp_path, monkeypatch):
    """A folder with one page and two runs; gives the page and a run."""
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr(render, "PAGES", ("page.md",))
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    nll_a, nll_b, sentence = make_text(50)
    wanted = LANGUAGE.tables["small"].runs(only=["lstm", "straight_through"])
    for one, nll in zip(wanted, (nll_a, nll_b), strict=True):
        run = make_run(
            tmp_path / "results/language_modeling/small" / one.name,
            scores=(nll, sentence),
            **LANGUAGE.of_run(LANGUAGE.parse(one.flags)),
        )
    return page, run


def test_rows_of_language_modeling_come_from_the_plan(render, project, capsys):
    page, run = project
    assert render.main(render.parse_args(["--check"])) == 1
    assert page.read_text("utf-8") == PAGE
    assert render.main(render.parse_args([])) == 0
    first, second = page.read_text("utf-8").split("<!-- end -->\n")[:2]
    assert first.startswith("<!-- results: language_modeling/small -->\n| row ")
    assert "difference to lstm | 95 % interval" in first
    _, _, *small = cells(first.partition("\n\n")[0])
    assert [row[0] for row in small] == [
        *("lstm", "reinforce", "straight_through", "random")
    ]
    assert ["not run" in row for row in small] == [False, True, False, True]
    # None of the runs of the other one is kept.
    assert second.count("| not run |") == 5
    assert render.main(render.parse_args(["--check"])) == 0
    assert capsys.readouterr() == (
        "page.md: out of date\npage.md: written\n",
        "",
    )
    # A run of another row.
    run.rename(run.with_name("reinforce-1"))
    assert render.main(render.parse_args(["--check"])) == 1
    error = capsys.readouterr().err
    assert "reinforce-1: was made with other settings: --" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("file", ["result.json", "test_scores.npz"])
def test_a_damaged_run_is_one_line(render, project, capsys, file):
    page, run = project
    (run / file).write_text("{")
    for options in ([], ["--check"]):
        assert render.main(render.parse_args(options)) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert str(run / file) in err
        assert page.read_text("utf-8") == PAGE


@pytest.mark.parametrize("make", [os.mkfifo, endless])
@pytest.mark.parametrize("file", ["page.md", "results/benchmark.json"])
def test_what_is_no_file_is_neither_waited_for_nor_read(
    render, project, capsys, file, make
):
    page, _ = project
    page.write_text("<!-- results: benchmark -->\n<!-- end -->\n")
    path = page.parent / file
    path.unlink(missing_ok=True)
    make(path)
    assert render.main(render.parse_args([])) == 1
    error = capsys.readouterr().err
    assert str(path) in error and "not a regular file" in error
    assert error.count("\n") == 1


def test_a_page_that_is_no_text_is_one_line(render, project, capsys):
    project[0].write_bytes(b"\xff")
    assert render.main(render.parse_args([])) == 1
    assert capsys.readouterr().err.endswith("page.md: must be UTF-8 text.\n")


@pytest.mark.parametrize("place", [0, 1])
def test_a_block_without_an_end_is_one_line(render, project, capsys, place):
    page, _ = project
    first, second, rest = PAGE.split("<!-- end -->\n")
    ends = ["<!-- end -->\n"] * 2
    ends[place] = ""
    text = first + ends[0] + second + ends[1] + rest
    page.write_text(text)
    assert render.main(render.parse_args([])) == 1
    assert "every block of results must have an end" in capsys.readouterr().err
    assert page.read_text() == text


def test_the_short_form_is_another_block(render, project):
    page, _ = project
    page.write_text(PAGE.replace("results: ", "brief: "), "utf-8")
    assert render.main(render.parse_args([])) == 0
    first, second = page.read_text("utf-8").split("<!-- end -->\n")[:2]
    rows = plan.load(
        LANGUAGE, page.parent / "results/language_modeling/small", "small"
    )
    text = plan.render(LANGUAGE, rows, brief=True)
    assert first == f"<!-- brief: language_modeling/small -->\n{text}\n"
    # Commands stand where all columns do.
    assert "RL_train" not in first and "not run" in second
    assert render.main(render.parse_args(["--check"])) == 0


# A table of number prediction.


def test_rows_of_number_prediction_come_from_the_plan(render, project, capsys):
    page, _ = project
    text = "<!-- results: number_prediction/T51 -->\n<!-- end -->\n"
    page.write_text(text, "utf-8")
    assert render.main(render.parse_args([])) == 0
    assert page.read_text("utf-8").count("| not run |") == 2
    (one,) = NUMBERS.tables["T51"].runs(only=["lstm"])
    folder = page.parent / "results/number_prediction/T51"
    settings = NUMBERS.of_run(NUMBERS.parse(one.flags))
    run = make_number_run(folder / one.name, settings, (0.9,))
    assert render.main(render.parse_args(["--check"])) == 1
    assert render.main(render.parse_args([])) == 0
    table = page.read_text("utf-8").split("<!-- ")[1].partition("\n\n")[0]
    header, lstm, dynamic = cells(table)[1:]
    column = header.index("test, %")
    assert (lstm[column], dynamic[column]) == ("90.00", "not run")
    # A run of another row.
    run.rename(folder / "dynamic-1-1")
    capsys.readouterr()
    assert render.main(render.parse_args([])) == 1
    error = capsys.readouterr().err
    assert "dynamic-1-1: was made with other settings: --model" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            "results: number_prediction/T12",
            "number_prediction/T12: must be a table, T11, ",
        ),
        (
            "brief: language_modeling/tiny",
            "language_modeling/tiny: must be a table, quick, ",
        ),
        ("results: chess/T11", "chess/T11: a task must be one of copy_task"),
        ("results: small", "small: a task must be one of copy_task, language_"),
    ],
)
def test_an_unknown_table_is_one_line(render, project, capsys, block, message):
    page, _ = project
    text = f"<!-- {block} -->\n<!-- end -->\n"
    page.write_text(text, "utf-8")
    assert render.main(render.parse_args([])) == 1
    error = capsys.readouterr().err
    assert error.startswith("render.py: ") and message in error
    assert error.count("\n") == 1
    assert page.read_text("utf-8") == text
