"""CuPy with binary32 as IEEE 754 has it: by default it flushes subnormal numbers to zero, which golden does not.  [SPEC Q-1]"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from typing import Any

FLUSHING = "-ftz=true"
EXACT = ("-ftz=false", "-fmad=false", "-prec-div=true")


def exact_options(options: Any) -> tuple[str, ...]:
    """The options of a compilation without the flush, and with every operation rounded by itself."""
    return (*(o for o in options if o != FLUSHING), *EXACT)


@cache
def cupy_arrays() -> Any:
    """The module cupy, whose kernels this process compiles with exact_options and keeps in a folder of its own.

    Raises   ModuleNotFoundError where cupy is not installed
    """
    folder = tempfile.mkdtemp(prefix="qgru-sweep-")
    atexit.register(shutil.rmtree, folder, True)
    os.environ["CUPY_CACHE_DIR"] = folder
    import cupy
    from cupy.cuda import compiler

    program = compiler._NVRTCProgram
    compiled = program.compile

    def compile_exactly(self: Any, options: Any = (), *rest: Any, **named: Any) -> Any:
        return compiled(self, exact_options(options), *rest, **named)

    program.compile = compile_exactly
    return cupy
