"""The pytest plugin: a device under test, golden and vectors as fixtures.

    pytest --qgru-dut so:./lib.so [--qgru-vectors FOLDER] [--qgru-timeout SECONDS]

dut               the device, started once; without --qgru-dut the test is skipped
golden            golden.step(name, constants, inputs, table) and golden.sequence(params, x, h0, ...)
vectors           case id -> case, of --qgru-vectors or of the built-in set
assert_bit_exact  assert_bit_exact(case) runs a case on the device; assert_bit_exact(got, expected) compares arrays
qgru_case         every case of the set, one test each
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

_NOTHING = object()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("qgru", "a quantized GRU under test")
    group.addoption("--qgru-dut", metavar="SPEC", help="py:module:callable, so:./lib.so or cmd:program and arguments")
    group.addoption("--qgru-vectors", metavar="FOLDER", help="a vector set; default: the built-in set")
    group.addoption("--qgru-timeout", metavar="SECONDS", type=float, default=60.0, help="for a case; default: 60")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "qgru_case" in metafunc.fixturenames:
        metafunc.parametrize("qgru_case", list(_cases(metafunc.config)), indirect=True)


def _cases(config: pytest.Config) -> Mapping[str, Any]:
    from golden.spec.errors import QgruError

    folder = config.getoption("--qgru-vectors")
    if folder is None:
        from verification.dut.builtin import Builtin

        return Builtin()
    from vectors.reader import open_set

    try:
        return open_set(folder)
    except (QgruError, OSError) as error:
        raise pytest.UsageError(f"--qgru-vectors: {error}") from None


@pytest.fixture(scope="session")
def vectors(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """Case id -> case; each is read, or made, when it is asked for."""
    return _cases(pytestconfig)


@pytest.fixture
def qgru_case(request: pytest.FixtureRequest, vectors: Mapping[str, Any]) -> Any:
    """One case; a test that takes it runs once for each case of the set."""
    return vectors[request.param]


@pytest.fixture(scope="session")
def dut(pytestconfig: pytest.Config) -> Iterator[Any]:
    """The verification.dut.device.Device of --qgru-dut."""
    from verification.dut.device import resolve
    from verification.dut.failure import DeviceError

    spec = pytestconfig.getoption("--qgru-dut")
    if spec is None:
        pytest.skip("no device under test: give --qgru-dut SPEC")
    try:
        device = resolve(spec, pytestconfig.getoption("--qgru-timeout"))
    except DeviceError as error:
        said = str(error)  # of the options of qgru check, which have other names here
        raise pytest.UsageError(f"--qgru-{said[2:]}" if said.startswith(("--dut ", "--timeout ")) else said) from None
    with device:
        yield device
        late = device.close()
    if late:
        pytest.fail(f"{spec}: {late} bytes came after the end of the last answer", pytrace=False)


@pytest.fixture(scope="session")
def golden() -> SimpleNamespace:
    """What is right: golden.step as vectors.steps.run_step, golden.sequence as golden.sequence.forward."""
    from golden.sequence import forward
    from vectors.steps import run_step

    return SimpleNamespace(step=run_step, sequence=forward)


@pytest.fixture
def assert_bit_exact(request: pytest.FixtureRequest) -> Callable[..., None]:
    """assert_bit_exact(case) or assert_bit_exact(got, expected); a case that the device does not do is skipped."""

    def check(got: Any, expected: Any = _NOTHING) -> None:
        if expected is not _NOTHING:
            from verification.dut.bit_exact import difference
            from verification.dut.failure import Failure

            try:
                sentence = difference(got, expected)
            except Failure as failure:  # of what is no array
                sentence = failure.sentence
            if sentence:
                pytest.fail(sentence, pytrace=False)
            return
        from verification.dut.examine import check_case

        outcome = check_case(request.getfixturevalue("dut"), got)
        if outcome.failed:
            pytest.fail(outcome.report(*_replay(request.config, got.id)), pytrace=False)
        if not outcome.passed:
            pytest.skip(f"not run: {outcome.detail}")

    return check


def _replay(config: pytest.Config, id: str) -> tuple[str, str]:
    """(name of the device, command that replays a case)"""
    spec, folder = config.getoption("--qgru-dut"), config.getoption("--qgru-vectors")
    where = "" if folder is None else f" {shlex.quote(folder)}"
    return spec, f"qgru check --dut {shlex.quote(spec)}{where} --case {id}"
