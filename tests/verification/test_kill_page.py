"""The page of the kill matrix is what level 1 and the drawn problems give, and level 1 finds everything."""

from __future__ import annotations

import re
from pathlib import Path

import hypothesis
import pytest

from docs.kill_page import computed

PAGE = Path(__file__).parents[2] / "docs" / "kill.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return computed(tmp_path_factory.mktemp("page"))


@pytest.mark.slow
def test_the_page_is_recomputed(page):
    """The problems that Hypothesis draws belong to its version, so another one is held to the vectors' part alone."""
    written = PAGE.read_text(encoding="utf-8")
    drawn = "\n## Property tests\n"
    assert page.partition(drawn)[0] == written.partition(drawn)[0]
    if f"drawn by Hypothesis {hypothesis.__version__};" in written:
        assert page == written


@pytest.mark.slow
def test_level_1_finds_every_deviation(page):
    score = re.search(r"level 1 finds \*\*(\d+) of (\d+)\*\*", page)
    assert score is not None and score[1] == score[2] and int(score[2]) > 2000
    assert "Survivors: none." in page
