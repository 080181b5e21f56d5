"""The documentation: links that resolve, commands that parse, a trace page that is the layout."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

from docs.trace_page import page
from qgru import cli
from qgru.run import EXTRAS
from tests.meta.house import PACKAGES, ROOT, name_of

PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in ("docs", *PACKAGES) for page in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`(qgru [^`\n]+)`")


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)


def links() -> list[tuple[str, str]]:
    """(page, target) of every relative link."""
    found = []
    for path in PAGES:
        prose = FENCE.sub("", path.read_text(encoding="utf-8"))
        found += [(name_of(path), t) for t in LINK.findall(prose) if not re.match(r"[a-z]+:", t)]
    return found


def command_of(line: str) -> list[str] | None:
    """The arguments of the qgru command that a line calls, or None."""
    for part in re.split(r"&&|\|\||[|;]", line):
        try:
            words = shlex.split(part.split(" #")[0].lstrip("$ "))
        except ValueError:
            continue
        if words and words[0].split("/")[-1] == "qgru":
            return words[1:]
        if words[1:3] == ["-m", "qgru"]:
            return words[3:]
    return None


def commands() -> list[tuple[str, str]]:
    """(page, line) of every qgru command in a fenced block or in backquotes."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        lines = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        lines += INLINE.findall(FENCE.sub("", text))
        found += [(name_of(path), line.strip()) for line in lines if command_of(line) is not None]
    return sorted(set(found))


def parses(arguments: list[str]) -> None:
    """Raise click.UsageError unless the command line's subcommand and options exist; nothing is run or opened."""
    command: click.Command = cli.group
    context = click.Context(command, info_name="qgru")
    while True:
        _, rest, _ = command.make_parser(context).parse_args(list(arguments))
        if not isinstance(command, click.Group) or not rest:
            return
        name, arguments = rest[0], rest[1:]
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command, context = found, click.Context(found, info_name=name, parent=context)


@pytest.mark.parametrize(("source", "target"), links())
def test_links_resolve(source, target):
    path, _, anchor = target.partition("#")
    where = (ROOT / source).parent / path if path else ROOT / source
    assert where.exists(), f"{source} links to {target}"
    assert not anchor or anchor in anchors(where.resolve())


def test_pages_are_reached_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    reached = {Path(target).name for target in LINK.findall(index)}
    assert {p.name for p in (ROOT / "docs").glob("*.md")} - reached == {"index.md"}


@pytest.mark.parametrize(("source", "line"), commands())
def test_documented_commands_parse(source, line):
    arguments = command_of(line)
    assert arguments is not None
    parses(arguments)


@pytest.mark.parametrize("line", ["qgru nope", "qgru --nope", "python -m qgru nope --help", "cd x && .venv/bin/qgru nope"])
def test_a_command_that_does_not_parse_is_seen(line):
    arguments = command_of(line)
    assert arguments is not None
    with pytest.raises(click.UsageError):
        parses(arguments)


def test_lines_that_are_no_command():
    assert command_of('pip install "qgru[cuda]"') is None
    assert command_of("qgru: s_x is 0.0, expected a positive number") is None


def test_the_readme_has_its_two_commands():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 'python3 -m venv .venv && .venv/bin/pip install -e ".[examples]" && .venv/bin/qgru verify' in lines
    assert ".venv/bin/pip install tox && .venv/bin/tox" in lines


def test_the_trace_page_is_the_layout():
    assert (ROOT / "docs" / "trace.md").read_text(encoding="utf-8") == page()


def test_the_extras_that_sentences_name_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])
