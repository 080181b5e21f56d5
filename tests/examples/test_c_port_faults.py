"""A single fault planted in the C port is found by the comparison with golden, whichever it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.examples import c_port, c_text
from tests.examples.c_problems import Problem, draw

# clause and fault -> file, text that occurs once, its replacement, where the difference shows ("": anywhere)
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "R-1 ties_up truncates": (
        "qgru_steps.c",
        "floor_shift(halves, 1) + (halves % 2 != 0)",
        "floor_shift(halves, 1)",
        "",
    ),
    "M-3 ties_up rounds away from zero": (
        "qgru_steps.c",
        "qgru_ties_up(v * m.multiplier,",
        "qgru_ties_away(v * m.multiplier,",
        "",
    ),
    "R-2 negative values are truncated": (
        "qgru_steps.c",
        "m = (m >> 1) + (m & 1u);\n",
        "m = (m >> 1) + (x < 0 ? 0 : m & 1u);\n",
        "",
    ),
    "R-3 ties_even is ties_away": (
        "qgru_steps.c",
        "rest == half && (quotient & 1u) != 0",
        "rest == half",
        "",
    ),
    "X-1 product in 32 bits": (
        "qgru_steps.c",
        "v * m.multiplier",
        "(int32_t)(uint32_t)((uint64_t)v * (uint64_t)m.multiplier)",
        "",
    ),
    "X-5 zero point of x left out": (
        "qgru_steps.c",
        "((int64_t)x[k] - zero_point)",
        "(int64_t)x[k]",
        "mshift Wx",
    ),
    "A-3 segment by q <= threshold": (
        "qgru_steps.c",
        "!(q < table->thresholds[i])",
        "!(q <= table->thresholds[i])",
        "",
    ),
    "A-2 index without rounding": (
        "qgru_steps.c",
        "* 255 + 32767)",
        "* 255)",
        "",
    ),
    "Z-2 zoneout keeps with 2^15 - 1": (
        "qgru_steps.c",
        "(32768 - k)",
        "(32767 - k)",
        "h_zoneout_acc",
    ),
    "G-M gates z and r exchanged": (
        "qgru_mshift.c",
        "enum { GATE_Z = 0, GATE_R = 1, GATE_G = 2 };",
        "enum { GATE_Z = 1, GATE_R = 0, GATE_G = 2 };",
        "mshift z_",
    ),
    "X-4 code of one is 128": (
        "qgru_mshift.c",
        "enum { ONE = 127 };",
        "enum { ONE = 128 };",
        "mshift n_acc",
    ),
    "GM-1 no saturation before m_z": (
        "qgru_mshift.c",
        "o.a = qgru_saturate32(o.acc);\n    o.pre = pre_code(p, o.a, is_z",
        "o.a = (int32_t)(uint32_t)o.acc;\n    o.pre = pre_code(p, o.a, is_z",
        "mshift z_a",
    ),
    "GM-3 zp_h added before the shift": (
        "qgru_mshift.c",
        "qgru_requantize(o.S, p->m_one, p->zp_h,",
        "qgru_requantize(o.S + p->zp_h, p->m_one, 0,",
        "mshift h_new",
    ),
    "GM-1 reset gate with m_z": (
        "qgru_mshift.c",
        "is_z ? p->m_z : p->m_r",
        "p->m_z",
        "mshift r_pre",
    ),
    "S-2 mask read in processing order": (
        "qgru_mshift.c",
        "zoneout.mask += t * tnh",
        "zoneout.mask += i * tnh",
        "mshift Rh",
    ),
    "GP-6 one without its zero point": (
        "qgru_pot.c",
        " + p->z_out.zero_point;\n}",
        ";\n}",
        "pot one",
    ),
    "GP-2 terms are summed first": (
        "qgru_pot.c",
        "rescale(p, p->bx[channel], p->weight_bx.exponent[channel], pre->exponent)",
        "rescale(p, (int64_t)p->bx[channel] + p->br[channel], p->weight_bx.exponent[channel], pre->exponent)",
        "pot z_bx_aligned",
    ),
    "GP-4 A without its zero point in P": (
        "qgru_pot.c",
        "((int64_t)o.A - p->A.zero_point)",
        "(int64_t)o.A",
        "pot P_prod",
    ),
    "GP-8 N through the exponent of O": (
        "qgru_pot.c",
        "p->N.exponent, p->h.exponent",
        "p->O.exponent, p->h.exponent",
        "pot h_N_aligned",
    ),
    "GP-9 missing h0 is 0": (
        "qgru_pot.c",
        ": sat(p->h.zero_point, &p->h)",
        ": 0",
        "pot",
    ),
    "L-2 width of Wx in 32 bits": (
        "qgru_check.c",
        "reach >= (uint64_t)1 << 47",
        "reach >= (uint64_t)1 << 31",
        "one of the two refuses",
    ),
}

COUNT = 150


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return [draw(datapath, seed) for datapath in ("mshift", "pot") for seed in range(COUNT)]


@pytest.fixture(scope="module")
def problem_file(problems: list[Problem], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "problems.txt"
    path.write_text("".join(map(c_text.problem_text, problems)))
    return path


def differences(harness: Path, problem_file: Path, problems: list[Problem]) -> list[str]:
    """The first difference of each problem that has one."""
    done = subprocess.run([str(harness), str(problem_file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = c_text.traces(done.stdout)
    assert len(found) == len(problems)
    return [d for d in map(c_port.difference, problems, found) if d]


def test_without_a_fault_nothing_is_found(problems: list[Problem], problem_file: Path, tmp_path: Path) -> None:
    harness = c_port.build(tmp_path / "harness", "-O0", harness=True)
    assert differences(harness, problem_file, problems) == []


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(name: str, problems: list[Problem], problem_file: Path, tmp_path: Path) -> None:
    file, old, new, where = FAULTS[name]
    source = tmp_path / "c"
    shutil.copytree(c_port.SOURCE, source, ignore=shutil.ignore_patterns("build"))
    text = (source / file).read_text()
    assert text.count(old) == 1
    (source / file).write_text(text.replace(old, new))
    harness = c_port.build(tmp_path / "harness", "-O0", "-w", source=source, harness=True)
    found = differences(harness, problem_file, problems)
    assert any(where in d for d in found), found[:5]
