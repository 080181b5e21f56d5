"""The moving ranges of datapath M: one number a step, with the judge's binary32.  [SPEC D, E, M-2]"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from golden.spec.errors import RangeError
from golden.spec.formats import INT8, INT32
from golden.spec.layout import BIAS_MULTIPLIERS, MULTIPLIERS
from golden.spec.params import MAX_RRH_MULTIPLIER, MShiftDynamicParams
from golden.spec.trace import DynamicState
from verification.deviations.environment import Run
from verification.deviations.steps import Steps
from verification.exact import rescale

Array = np.ndarray
StepsOf = Callable[[str], Steps]

BEFORE = ("s_w", "s_r", "W", "R")
RANGES = ("x_min", "x_max", "s_x", "zp_x", "h_min", "h_max", "s_h", "zp_h", "m_h")
AFTER = ("s_b", "bx", "br")
FIELDS = (*BEFORE, *AFTER, *RANGES, *MULTIPLIERS)


class Trajectory:
    """Computes the numbers of a run, step by step in processing order.

    run    the problem
    of     field -> the Steps that compute it
    known  recorded fields: what is computed later goes on from them
    base   what the clauses compute from the recorded fields; taken for every field that is not in names
    names  the fields to compute; all of them when there is no base
    found  field -> what was computed, [T], a scalar, or [.,3H]
    """

    def __init__(
        self,
        run: Run,
        of: StepsOf,
        known: Mapping[str, Array],
        base: Mapping[str, Array] | None = None,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.run, self.of, self.known, self.base, self.names = run, of, known, base or {}, names
        p = run.params
        assert isinstance(p, MShiftDynamicParams)
        self.p = p
        steps = len(run.x)
        self.found: dict[str, Any] = {name: np.zeros(steps, np.int64) for name in (*RANGES, *MULTIPLIERS)}
        self.found |= {name: np.zeros(steps, np.float32) for name in ("x_min", "x_max", "s_x", "h_min", "h_max", "s_h")}
        self.found["s_b"] = np.float32(0.0)
        self.extra: dict[str, Any] = {"zp_old": np.zeros(steps, np.int64), "fresh": np.zeros(steps, bool)}
        with np.errstate(all="ignore"):
            for name, matrix in (("s_w", p.W), ("s_r", p.R)):
                if not self._wanted(name):
                    self.found[name] = self.base[name]
                    continue
                low, high = float(matrix.min()), float(matrix.max())
                self.found[name] = np.float32(of(name).symmetric(low, high, INT8, name)[0])
            for name, scale, matrix in (("W", "s_w", p.W), ("R", "s_r", p.R)):
                if not self._wanted(name):
                    self.found[name] = self.base[name]
                    continue
                o = of(name)
                self.found[name] = o.to_code(o, matrix, self._used(scale), 0, INT8, False)
        self.start = self._start(run.h0)
        self.done = self.start.steps
        self.last: dict[str, Any] = {n: getattr(self.start, n) for n in ("s_h", "zp_h", "h_min", "h_max", "x_min", "x_max")}
        self.s_b = self.start.s_b
        self._biases()

    def _wanted(self, name: str) -> bool:
        return not self.base or name in self.names

    def _used(self, name: str, t: int | None = None) -> Any:
        """What the stages after it read: the recorded number where there is one."""
        values = self.known.get(name, self.found[name])
        value = values if t is None else values[t]
        return value.item() if np.ndim(value) == 0 else value

    def _scale(self, name: str, symmetric: bool, low: float, high: float, tensor: str, t: int | None) -> tuple[float, int]:
        o = self.of(name)
        scale, zero_point = (o.symmetric if symmetric else o.asymmetric)(low, high, INT8, tensor, t)
        if not scale > 0:
            raise RangeError(tensor, scale, t)
        return scale, zero_point

    def _start(self, h0: Any) -> DynamicState:
        if isinstance(h0, DynamicState):
            return h0
        o = self.of("h0")
        batch = self.run.x.shape[1]
        real = np.zeros((batch, self.p.hidden_size), np.float32) if h0 is None else h0
        low, high = o.start_range(float(real.min()) + 0.0, float(real.max()) + 0.0)
        s_h, zp_h = self._scale("h0", self.p.h_symmetric, low, high, "h0", None)
        codes = o.to_code(o, real, s_h, zp_h, INT8, False)
        return DynamicState(codes.astype(np.int32), s_h, zp_h, low, high)

    def _biases(self) -> None:
        for name in ("bx", "br"):
            if not self._wanted(name):
                self.found[name] = self.base[name]
                continue
            o, real = self.of(name), getattr(self.p, name).tolist()
            scale = None if self.s_b is None else (self._used("s_b") if "s_b" in self.known else self.s_b)
            self.found[name] = np.array([0 if scale is None else o.quantize_bias(b, scale, INT32) for b in real], np.int64)
        self.found["s_b"] = np.float32(0.0 if self.s_b is None else self.s_b)

    def step(self, t: int, h: Array) -> None:
        """The numbers of time t, which starts from the codes h [N,H].  [SPEC D-1 ... D-3]"""
        p, of, last = self.p, self.of, self.last

        def put(name: str, value: Callable[[], Any]) -> Any:
            self.found[name][t] = value() if self._wanted(name) else self.base[name][t]
            return self._used(name, t)

        def moved(tensor: str, ends: Callable[[str], tuple[float, float]], fresh: bool) -> tuple[float, float]:
            low, high = f"{tensor}_min", f"{tensor}_max"

            def ranged(name: str) -> tuple[float, float]:
                now = ends(name)
                return now if fresh else of(name).ema(last[low] or 0.0, last[high] or 0.0, *now)

            return put(low, lambda: ranged(low)[0]), put(high, lambda: ranged(high)[1])

        def scales(tensor: str, symmetric: bool) -> None:
            def both(name: str) -> tuple[float, int]:
                return self._scale(name, symmetric, now[f"{tensor}_min"], now[f"{tensor}_max"], tensor, t)

            now[f"s_{tensor}"] = put(f"s_{tensor}", lambda: both(f"s_{tensor}")[0])
            now[f"zp_{tensor}"] = put(f"zp_{tensor}", lambda: both(f"zp_{tensor}")[1])

        first = of("x_min").first(self.done)
        now: dict[str, Any] = {}
        now["x_min"], now["x_max"] = moved("x", lambda name: of(name).x_range(self.run.x, t), first)
        scales("x", p.x_symmetric)
        fresh = self.done == 0
        self.extra["zp_old"][t], self.extra["fresh"][t] = last["zp_h"], fresh
        if fresh:
            for name in ("h_min", "h_max", "s_h", "zp_h"):
                now[name] = put(name, partial(last.get, name))
            put("m_h", lambda: 0)
        else:
            now["h_min"], now["h_max"] = moved("h", lambda name: of(name).h_range(h, last["s_h"], last["zp_h"], t), False)
            scales("h", p.h_symmetric)
            put("m_h", lambda: of("m_h").derive(last["s_h"], now["s_h"], p.shift, saturating=True).multiplier)
        s_w, s_r = self._used("s_w"), self._used("s_r")
        if fresh:
            self.s_b = rescale.scale_product(s_w, now["s_x"], "s_Wx", t)
            self._biases()
        s_b = self._used("s_b") if "s_b" in self.known else self.s_b
        s_wx = rescale.scale_product(s_w, now["s_x"], "s_Wx", t)
        s_rh = rescale.scale_product(s_r, now["s_h"], "s_Rh", t)
        for name in MULTIPLIERS:
            put(name, partial(self._multiplier, name, s_wx, s_rh, s_b, now["s_h"], t))
        self.last = now
        self.done += 1

    def _multiplier(self, name: str, s_wx: float, s_rh: float, s_b: Any, s_h: float, t: int) -> int:
        """One of the twelve.  [SPEC G-M, D-3, M-2]"""
        p, o = self.p, self.of(name)
        one = o.scale_of_one
        pairs = {
            **{n: (s_rh, s_wx) for n in ("m_Rh_z", "m_Rh_r")},
            **{n: (s_b, s_wx) for n in ("m_bx", "m_br_z", "m_br_r")},
            "m_br_g": (s_b, s_rh),
            "m_z": (s_wx, p.s_z),
            "m_r": (s_wx, p.s_r_gate),
            "m_g": (s_wx, p.s_g),
            "m_gh": (one, s_h),
            "m_one": (one, 1.0),
        }
        source, target = pairs[name] if name in pairs else (rescale.scale_product(one, s_rh, "s_one*s_Rh", t), s_wx)
        limit = MAX_RRH_MULTIPLIER if name == "m_rRh" else 2**31 - 1
        return o.derive(source, target, p.shift_bias if name in BIAS_MULTIPLIERS else p.shift, limit, True).multiplier

    def track(self) -> dict[str, Any]:
        """What the stages read of it: recorded numbers where there are some."""
        return {**{n: self.known.get(n, v) for n, v in self.found.items()}, **self.extra}
