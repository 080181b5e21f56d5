"""Workers that meet between steps, inside compiled code: a counter that all of them raise and then watch.

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

SPINS = 20000  # looks before the core is given away
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


def meet(address, parties):
    """Wait until every one of the parties is here; the counter at the address only ever grows."""
    if parties <= 1:
        return
    arrived = add_atomically(address, 1)
    target = (arrived // parties + 1) * parties
    looks = 0
    while read_atomically(address) < target:
        looks += 1
        if looks < SPINS:
            pause()
        else:
            give_way()
