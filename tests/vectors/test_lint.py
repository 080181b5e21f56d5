"""The linter: silent on a good set, one sentence for everything that golden or the flags say otherwise."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from tests.vectors.damage import edit, replace_member
from tests.vectors.examples import FLAGS
from tests.vectors.kinds import every_kind
from vectors.errors import VectorError
from vectors.lint import lint, lint_case
from vectors.npz import npy_bytes
from vectors.reader import open_set
from vectors.writer import export_set, write_set

CASE = "requantize-s10-recommended-int8-inside"


@pytest.fixture
def folder(tmp_path):
    own = [case for case in every_kind() if case.kind != "sequence"]
    write_set(tmp_path / "set", own, seed=7, version="1.0")
    return tmp_path / "set"


def member(folder, id, name, change):
    """Change one array of a case, hashes included."""
    arrays = {n: a for n, a in np.load(folder / f"{id}.npz").items()}
    array = arrays[name].copy()
    change(array)
    replace_member(folder, f"{id}.npz", name, npy_bytes(name, array))


def test_a_good_set_of_every_format(folder, tmp_path):
    assert list(lint(folder)) == []
    for form in ("hex", "c", "bin", "wycheproof"):
        export_set(open_set(folder), tmp_path / form, form)
        assert list(lint(tmp_path / form, form)) == []


def test_flags_of_runs_are_computed():
    case = next(c for c in every_kind() if c.kind == "sequence")
    assert case.flags == {"Small": 1}
    found = list(lint_case(case))
    assert found and all(": flag " in text and " is 0, expected " in text for text in found)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda flags: flags.update(tie=flags["tie"] + 1), "flag tie is "),
        (lambda flags: flags.pop("saturates_low"), "flag saturates_low is 0, expected "),
        (lambda flags: flags.update(nan=1), "flag nan is 1, expected 0 by the numbers of the case"),
    ],
)
def test_a_flag_that_the_numbers_do_not_have(folder, change, sentence):
    def spoil(manifest):
        change(next(c for c in manifest["cases"] if c["id"] == CASE)["flags"])

    edit(folder, spoil)
    assert [text.removeprefix(f"{CASE}: ").startswith(sentence) for text in lint(folder)] == [True]


def test_a_result_that_golden_does_not_give(folder):
    def change(q):
        q[5] = q[5] - 1 if q[5] > -128 else -127

    member(folder, CASE, "output.q", change)
    found = list(lint(folder))
    assert len(found) == 1 and found[0].startswith(f"{CASE}: output.q[5] is ") and found[0].endswith(" as golden gives")


def test_a_state_and_a_digest_of_a_chain_that_golden_does_not_give(folder):
    member(folder, "chain-small", "trace.states", lambda states: states.__setitem__((1, 0), 5))
    assert [text.split(" is ")[0] for text in lint(folder)] == ["chain-small: trace.states[1, 0]"]

    def spoil(manifest):
        chain = next(c for c in manifest["cases"] if c["id"] == "chain-cell")
        chain["digests"][1] = "0" * 64

    edit(folder, spoil)
    assert any(text.startswith("chain-cell: the digest of block 1 is 0000") for text in lint(folder))


def test_a_refusal_that_golden_does_not_make(folder):
    id = "error-mshift-reset-multiplier"

    def other(manifest):
        next(c for c in manifest["cases"] if c["id"] == id)["error"]["field"] = "m_z"

    edit(folder, other)
    assert next(lint(folder)).startswith(
        f"{id}: the refusal is 'm_rRh multiplier is 16777216, expected at most 16777215', expected a"
    )

    def sound(manifest):
        next(c for c in manifest["cases"] if c["id"] == id)["params"]["m_rRh"]["multiplier"] = 5

    edit(folder, sound)
    assert f"{id}: golden takes it, expected a ParameterError that names m_z" in list(lint(folder))


def test_a_run_that_golden_does_not_give():
    case = copy.copy(next(c for c in every_kind() if c.id == "mshift-training"))
    fields = {**case.trace.fields, "z_acc": case.trace["z_acc"] + 1}
    object.__setattr__(case, "trace", type(case.trace)("mshift", fields, False, None))
    assert any("trace.z_acc[0, 0, 0] is " in text for text in lint_case(case))


def test_a_set_that_promises_a_level_it_does_not_have(folder):
    edit(folder, lambda manifest: manifest.update(scope={"level": 1, "datapath": "all"}))
    found = list(lint(folder))
    assert "manifest.json: step ema has 0 rows, expected at least 240 at level 1" in found and len(found) == 29


def test_a_file_that_the_manifest_does_not_list(folder):
    (folder / "more.txt").write_text("more")
    assert list(lint(folder)) == ["more.txt: the file is in the folder, expected only files that the manifest lists"]


def test_damage_is_refused_and_not_listed(folder):
    (folder / f"{CASE}.npz").write_bytes(b"")
    with pytest.raises(VectorError, match="the size is 0 bytes"):
        list(lint(folder))


def test_the_flags_of_the_set_explain_themselves(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    used = {flag for case in manifest["cases"] for flag in case["flags"]}
    assert set(manifest["flags"]) == used and FLAGS.keys().isdisjoint(used)
    assert all(". Finds " in text for text in manifest["flags"].values())
