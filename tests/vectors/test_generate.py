"""The set of level 1: the same bytes every time, permanent ids, small enough, good by its own linter."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.spec.errors import ParameterError
from vectors.draw import Draw
from vectors.generate import generate, planned
from vectors.kinds import pack_case
from vectors.lint import lint
from vectors.manifest import identity
from vectors.minimum import LEAST, LEVELS, least, missing_rows
from vectors.reader import open_set
from vectors.steps import STEPS

HERE = Path(__file__).parent
PINNED = HERE.parents[1] / "vectors" / "level1.sha256"
IDS = HERE / "level1_ids.txt"


def test_level_1_is_the_same_to_the_byte_and_the_pinned_one(level1, tmp_path):
    generate(tmp_path / "again", level=1, version="1.0")
    names = sorted(p.name for p in level1.iterdir())
    assert names == sorted(p.name for p in (tmp_path / "again").iterdir())
    assert all((level1 / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)
    assert identity(open_set(level1).manifest) == PINNED.read_text().split()[0]


def test_ids_are_permanent(level1):
    assert list(open_set(level1)) == IDS.read_text().split()


def test_level_1_has_at_most_5_mb(level1):
    assert sum(p.stat().st_size for p in level1.iterdir()) <= 5_000_000


def test_the_linter_finds_nothing(level1):
    assert list(lint(level1)) == []


def test_every_level_holds_the_one_below():
    sets = [planned(level) for level in LEVELS]
    for below, above in zip(sets, sets[1:]):
        ids = [item.id for item in above]
        assert {item.id for item in below} < set(ids) and len(ids) == len({id.lower() for id in ids})
        assert [id for id in ids if id in {item.id for item in below}] == [item.id for item in below]
    assert [item.id for item in planned(3)] == [item.id for item in sets[2]]


@pytest.mark.parametrize("datapath", ["mshift", "mshift-dynamic", "pot"])
def test_a_datapath_has_its_own_cases_only(datapath):
    ids = {item.id for item in planned(1, datapath)}
    assert ids < {item.id for item in planned(1)}
    foreign = {
        "mshift": ("pot-", "ties-away"),
        "mshift-dynamic": ("pot-", "chain-mshift"),
        "pot": ("mshift-", "ties-up", "ema"),
    }
    assert ids and not any(id.startswith(foreign[datapath]) for id in ids)
    assert {"saturate-int8", "linear-k007-int8-inside"} <= ids


def test_a_case_depends_on_the_seed_and_its_id_only():
    item = next(i for i in planned(1) if i.id == "ties-up-random")
    again = next(i for i in planned(3, "mshift") if i.id == "ties-up-random")
    first = pack_case(item.make(Draw(0, item.id)))[0]
    assert first == pack_case(again.make(Draw(0, item.id)))[0]
    assert first["content_sha256"] != pack_case(item.make(Draw(1, item.id)))[0]["content_sha256"]


def test_every_step_has_its_least_number_of_rows(level1):
    manifest = open_set(level1).manifest
    assert missing_rows(manifest) == [] and set(LEAST) == set(STEPS)
    assert all(a <= b <= c for a, b, c in LEAST.values())
    cut = [case for case in manifest["cases"] if case["id"] != "ema-ranges"]
    assert missing_rows({**manifest, "cases": cut}) == ["step ema has 0 rows, expected at least 240 at level 1"]


def test_bad_arguments():
    for call, sentence in (
        (lambda: planned(4), "level is 4, expected 1, 2 or 3"),
        (lambda: planned(True), "level is True"),
        (lambda: planned(1, "float"), "datapath is 'float', expected one of all"),
        (lambda: least("cell", 1), "step is 'cell'"),
        (lambda: least("ema", 0), "level is 0"),
    ):
        with pytest.raises(ParameterError, match=sentence):
            call()


def test_the_first_drawn_numbers():
    """SplitMix64 from the state 1234567: the published outputs of the reference implementation."""
    from vectors.draw import splitmix

    assert splitmix(1234567, 3).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
