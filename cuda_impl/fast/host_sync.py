"""Workers that share the steps of a run, inside compiled code: each takes the next ticket of the phase that is open.

A wait first spins, then gives its core away at every look, so that it also ends on a machine that is busy with others.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cuda_impl.fast.host_ir import I64

SPINS = 2000  # looks before the core is given away
CAN_YIELD = sys.platform != "win32"  # sched_yield is there


@intrinsic
def add_atomically(typingctx, address, value):
    """The number at an address before value was added."""

    def codegen(context, b, signature, arguments):
        at, more = arguments
        return b.atomic_rmw("add", b.inttoptr(at, I64.as_pointer()), more, "seq_cst")

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def read_atomically(typingctx, address):
    """The number at an address, no older than what it stands for."""

    def codegen(context, b, signature, arguments):
        return b.load_atomic(b.inttoptr(arguments[0], I64.as_pointer()), "acquire", 8)

    return types.intp(types.intp), codegen


@intrinsic
def pause(typingctx):
    """A moment, for the sibling thread of the core."""

    def codegen(context, b, signature, arguments):
        _call(b, "llvm.x86.sse2.pause" if "x86_64" in b.module.triple else "llvm.donothing")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx):
    """Let another thread have the core."""

    def codegen(context, b, signature, arguments):
        if CAN_YIELD:
            kind = ir.FunctionType(ir.IntType(32), [])
            b.call(cgutils.get_or_insert_function(b.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


def _call(b: Any, name: str) -> None:
    b.call(cgutils.get_or_insert_function(b.module, ir.FunctionType(ir.VoidType(), []), name), [])


@intrinsic
def replace_atomically(typingctx, address, old, new):
    """Whether the number at an address was old, and is new now."""

    def codegen(context, b, signature, arguments):
        at, was, now = arguments
        pair = b.cmpxchg(b.inttoptr(at, I64.as_pointer()), was, now, "seq_cst", "seq_cst")
        return b.zext(b.extract_value(pair, 1), I64)

    return types.intp(types.intp, types.intp, types.intp), codegen


# the counters of a run, each on its own cache line: tickets given, phases done, tickets done
NEXT, DONE, FINISHED, COUNTERS = 0, 64, 128, 24


def take_ticket(counters, end, tickets):
    """The next ticket of the phase that is open, waiting for it if need be; -1 when `end` phases are done.

    A phase has so many tickets, numbered on from those of the phase before. Only a worker that computes holds a ticket:
    one that has not come yet, or lost its core while it waited, holds up nobody.
    """
    looks = 0
    while True:
        phase = read_atomically(counters + DONE)
        if phase >= end:
            return -1
        ticket = read_atomically(counters + NEXT)
        if ticket < (phase + 1) * tickets:
            if replace_atomically(counters + NEXT, ticket, ticket + 1) != 0:
                return ticket
        else:
            looks += 1
            if looks < SPINS:
                pause()
            else:
                give_way()


def was_last(counters, tickets):
    """Count a ticket as done; whether it was the last of its phase."""
    return (add_atomically(counters + FINISHED, 1) + 1) % tickets == 0


def open_next(counters):
    """The phase is done; its last worker says so."""
    add_atomically(counters + DONE, 1)
