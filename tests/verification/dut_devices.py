"""Devices under test for the tests: golden itself, and Python devices that misbehave, one way each."""

from __future__ import annotations

import ctypes
import os
import time

import numpy as np

from golden.sequence import forward
from vectors.steps import STEPS, run_step, to_bits
from verification.dut.failure import NotSupported


class Golden:
    """Every step and every run, from golden."""

    def step(self, name, constants, inputs, table):
        from verification.dut.request import wire

        columns = {k: to_bits(v) if v.dtype == np.float32 else v.astype(np.int64) for k, v in inputs.items()}
        out = run_step(name, constants, columns, table)
        return {c.name: wire(c, out[c.name], constants) for c in STEPS[name].outputs}

    def sequence(self, params, x, h0, **options):
        return forward(params, x, h0, **options)


class WrongLater(Golden):
    """Golden, but for row 1234 of the first output of a step, and of the first unit of a state; ties_even fails."""

    def step(self, name, constants, inputs, table):
        if name == "ties_even":
            raise RuntimeError("no even day")
        out = super().step(name, constants, inputs, table)
        first = next(iter(out))
        return {**out, first: self.changed(out[first])}

    def sequence(self, params, x, h0, **options):
        h = forward(params, x, h0, **options).h.copy()
        h[1, :, 0] = self.changed(h[1, :, 0])
        return h

    @staticmethod
    def changed(column):
        column = column.copy()
        column[1234] += 1
        return column


class States(Golden):
    """Golden's states and outputs."""

    def sequence(self, params, x, h0, **options):
        h = forward(params, x, h0, **options).h.astype(np.int32)
        return {"h": h.copy(), "output": h[1:].copy()}


class WrongOutput(States):
    """The states are right, the outputs are not."""

    def sequence(self, params, x, h0, **options):
        found = super().sequence(params, x, h0, **options)
        return {**found, "output": found["output"] ^ 1}


class WrongInitial(States):
    """The initial state comes back as another."""

    def sequence(self, params, x, h0, **options):
        found = super().sequence(params, x, h0, **options)
        found["h"][0] ^= 1
        return found


def right(constants, inputs):
    return Golden().step("requantize", constants, inputs, None)["q"]


class Misbehaving:
    """Does requantize rightly unless the zero point names a misdeed."""

    capabilities = {"name": "misbehaving", "steps": ["requantize"]}

    def step(self, name, constants, inputs, table):
        deeds = {
            1: self.crash, 2: self.hang, 3: self.narrow, 4: self.flat, 5: self.silent, 6: self.overrun, 7: self.scribble,
            8: self.extra, 9: self.wrong, 10: self.fails, 11: self.refuses, 12: self.leaves, 13: self.strange,
            14: self.declines, 15: self.deep, 16: self.ragged,
        }  # fmt: skip
        print("this goes to standard error and harms nothing")
        return deeds.get(constants["zp"], lambda c, i: {"q": right(c, i)})(constants, inputs)

    def crash(self, constants, inputs):
        ctypes.string_at(0)

    def hang(self, constants, inputs):
        time.sleep(600)

    def narrow(self, constants, inputs):
        return {"q": right(constants, inputs).astype(np.int8)}

    def flat(self, constants, inputs):
        return {"q": right(constants, inputs)[:-1]}

    def silent(self, constants, inputs):
        return {}

    def overrun(self, constants, inputs):
        address = inputs["v"].ctypes.data + inputs["v"].nbytes
        ctypes.memset(address + 8, 0, 4)
        return {"q": right(constants, inputs)}

    def scribble(self, constants, inputs):
        q = right(constants, inputs)
        ctypes.memset(inputs["v"].ctypes.data, 0, inputs["v"].nbytes)
        return {"q": q}

    def extra(self, constants, inputs):
        return {"q": right(constants, inputs), "p": right(constants, inputs)}

    def wrong(self, constants, inputs):
        q = right(constants, inputs)
        q[1] = -128
        return {"q": q}

    def fails(self, constants, inputs):
        raise ZeroDivisionError("division by zero")

    def refuses(self, constants, inputs):
        raise NotSupported("only odd days")

    def leaves(self, constants, inputs):
        os._exit(3)

    def strange(self, constants, inputs):
        return {"q": object()}

    def declines(self, constants, inputs):
        return NotImplemented

    def deep(self, constants, inputs):
        return {"q": right(constants, inputs).reshape(1, 1, 1, 1, -1)}

    def ragged(self, constants, inputs):
        return {"q": [[1], [2, 3]]}


class Sets(Golden):
    """What it does, as a set, which JSON does not have."""

    capabilities = {"options": {"h0"}}


class NumPyLimit(Golden):
    """A limit that is a number of NumPy."""

    capabilities = {"steps": ["saturate"], "limits": {"rows": np.int64(10)}}


class Words(Golden):
    """What it does, in words."""

    capabilities = "everything"


class NoCard(Golden):
    """It needs what is not there."""

    def __init__(self):
        raise RuntimeError("no card\nin slot 3")


class Careless:
    """Refuses nothing."""

    def sequence(self, params, x, h0, **options):
        return np.zeros((*x.shape[:2], params.hidden_size), np.int32)
