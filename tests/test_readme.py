import importlib.util
import json
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "language_modeling/README.md", "data/README.md")


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


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    missing = [
        link
        for link in links
        if not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert not missing


@pytest.fixture
def known_flags(load):
    """The flags that may stand behind each program of the page."""
    sys.path.insert(0, str(ROOT))
    from language_modeling import flags

    parsers = {
        "RL_train.py": flags.make_parser(),
        "check_resume.py": load("check_resume").make_parser(),
        "compare": load("compare").make_parser(),
        "overhead.py": load("overhead").make_parser(),
    }
    known = {
        name: set(parser._option_string_actions)
        for name, parser in parsers.items()
    }
    # After a `--`, they take those of a training.
    for name in ("check_resume.py", "overhead.py"):
        known[name] |= known["RL_train.py"]
    return known


def flags_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def test_every_flag_in_the_pages_exists(known_flags):
    text = (ROOT / "language_modeling" / "README.md").read_text("utf-8")
    assert flags_in(text) <= set().union(*known_flags.values())


def test_every_example_has_the_flags_of_its_program(known_flags):
    text = (ROOT / "language_modeling" / "README.md").read_text("utf-8")
    lines = re.findall(r"^    (?:python )?\w+/(\S+)(.*)$", text, re.MULTILINE)
    assert {name for name, _ in lines} == set(known_flags)
    wrong = [
        (name, line)
        for name, line in lines
        if not flags_in(line) <= known_flags[name]
    ]
    assert not wrong


def test_the_tables_are_what_the_records_say(render, capsys):
    assert render.main(render.parse_args(["--check"])) == 0, capsys.readouterr()


def test_a_stale_table_is_found_and_written(render, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- results: x -->\nold\n<!-- end -->\nb\n", "utf-8")
    monkeypatch.setattr(render, "render", lambda name: f"new {name}")
    assert not render.refresh(page, check=True)
    assert "old" in page.read_text("utf-8")
    assert not render.refresh(page, check=False)
    assert page.read_text("utf-8").splitlines()[1:4] == [
        "<!-- results: x -->",
        "new x",
        "<!-- end -->",
    ]
    assert render.refresh(page, check=True)


# A block of a comparison.

COMPARISON = {
    "level": 0.95,
    "rows": [
        {
            "model": "lstm",
            "epochs": 2,
            "seeds": [1, 2],
            "test": [10.0, 14.0],
            "ways": {},
            "commands": ["run 1", "run 2"],
        }
    ],
}
PAGE = "<!-- results: comparison_small -->\nold\n<!-- end -->\n"


@pytest.fixture
def project(render, tmp_path, monkeypatch):
    """A folder with one page and one comparison; gives their paths."""
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr(render, "PAGES", ("page.md",))
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    record = tmp_path / "results" / "comparisons" / "small.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps(COMPARISON), "utf-8")
    return page, record


def test_a_comparison_is_rendered(render, project, capsys):
    page, _ = project
    assert render.main(render.parse_args(["--check"])) == 1
    assert page.read_text("utf-8") == PAGE
    assert render.main(render.parse_args([])) == 0
    lines = page.read_text("utf-8").splitlines()
    assert lines[0] == "<!-- results: comparison_small -->"
    assert lines[3].startswith("| lstm  |      2 |   1 2 | 12.00 ± 2.83 |")
    assert lines[4:] == ["", "    run 1", "    run 2", "<!-- end -->"]
    assert render.main(render.parse_args(["--check"])) == 0
    assert capsys.readouterr() == (
        "page.md: out of date\npage.md: written\n",
        "",
    )


def _with(**changes):
    (row,) = COMPARISON["rows"]
    return json.dumps({**COMPARISON, "rows": [row, {**row, **changes}]})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", "1", "null", b"\xff", '{"rows": []}'),
        json.dumps({**COMPARISON, "rows": []}),
        json.dumps({**COMPARISON, "rows": {}}),
        json.dumps({**COMPARISON, "rows": [1]}),
        json.dumps({**COMPARISON, "rows": [{}]}),
        json.dumps({**COMPARISON, "level": "0.95"}),
        json.dumps({**COMPARISON, "level": None}),
        json.dumps({**COMPARISON, "level": 10**400}),
        json.dumps({**COMPARISON, "level": 95}),
        _with(model=1),
        _with(seeds=1),
        _with(test=[]),
        _with(test=["a"]),
        _with(test=None),
        _with(ways=None),
        _with(ways={"perplexity_previous": "a"}),
        _with(commands=None),
        _with(low=1.0),
        _with(low="a", high=1.0, difference=1.0),
    ],
)
def test_a_damaged_comparison_is_one_line(render, project, capsys, text):
    page, record = project
    record.write_bytes(text if isinstance(text, bytes) else text.encode())
    for options in ([], ["--check"]):
        assert render.main(render.parse_args(options)) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"render: {record}: not a record of scripts/compare.\n"
        assert page.read_text("utf-8") == PAGE


def test_a_missing_comparison_is_one_line(render, project, capsys):
    page, record = project
    record.unlink()
    assert render.main(render.parse_args([])) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(record) in err
    assert page.read_text("utf-8") == PAGE
