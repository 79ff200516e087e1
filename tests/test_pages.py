"""How the pages read: how wide their tables are, and how long they are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Here stand all columns of the tables, and the commands behind them.
WIDE = ROOT / "results" / "RESULTS.md"
TASKS = [path.parent / "README.md" for path in ROOT.glob("*/task.py")]
PAGES = sorted(
    path
    for path in (
        ROOT / "README.md",
        ROOT / "SECURITY.md",
        ROOT / "data" / "README.md",
        ROOT / "dsl" / "experiment" / "README.md",
        *TASKS,
        *(ROOT / "results").rglob("*.md"),
    )
    if path.exists() and path != WIDE
)
MOST_WIDTH, MOST_COLUMNS, WRAP = 100, 7, 80
MOST_LINES = {ROOT / "README.md": 120, **dict.fromkeys(TASKS, 230)}


def name(path):
    return str(path.relative_to(ROOT))


def lines(page):
    """The lines of a page outside of fenced blocks."""
    text = page.read_text("utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S).splitlines()


def rows(page):
    return [line for line in lines(page) if line.startswith("|")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_row_of_a_table_is_too_wide(page):
    assert [row for row in rows(page) if len(row) > MOST_WIDTH] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_table_has_too_many_columns(page):
    def columns(row):
        return len(re.findall(r"(?<!\\)\|", row)) - 1

    assert [row for row in rows(page) if columns(row) > MOST_COLUMNS] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_text_is_wrapped(page):
    """But for tables, commands, and what cannot be broken."""
    long = [
        line
        for line in lines(page)
        if len(line) > WRAP
        and not line.startswith(("|", "    ", "!", "Published: ", "All rows: "))
        and " " in re.sub(r"\[[^]]*\]\([^)]*\)", "", line).strip("* ,.:")
    ]
    assert long == []


@pytest.mark.parametrize("page", MOST_LINES, ids=name)
def test_a_page_is_short(page):
    count = len(page.read_text("utf-8").splitlines())
    assert count <= MOST_LINES[page]


@pytest.mark.parametrize("page", [*PAGES, WIDE], ids=name)
def test_every_link_leads_somewhere(page):
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, WIDE], ids=name)
def test_every_place_in_a_page_that_is_linked_to_exists(page):
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]*)\)", text)
    for file, place in links:
        target = page.parent / file if file else page
        if target.exists():
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert place in [
                re.sub(r"[^\w -]", "", x).lower().replace(" ", "-")
                for x in headings
            ]
