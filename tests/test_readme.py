import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "language_modeling/README.md", "data/README.md")


@pytest.fixture
def render(monkeypatch):
    """scripts/render.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(
        "render", ROOT / "scripts" / "render.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_every_flag_in_the_pages_exists():
    sys.path.insert(0, str(ROOT))
    from language_modeling import flags

    known = set(flags.make_parser()._option_string_actions)
    text = (ROOT / "language_modeling" / "README.md").read_text("utf-8")
    assert set(re.findall(r"--[a-z][\w-]*", text)) <= known


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
