"""Runs the twin's source on terms: Python's syntax trees in, z3's terms out.

Both branches of an `if` on a term are followed to the end of the function and merged; loops need known conditions or end
within their table. A call of a function with a contract gives what its clause says, if the goal that its conditions hold is
proven; every other function of the twin is entered.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import z3

from verification.proofs.source import Twin, name_of
from verification.proofs.values import DOUBLE, RTZ, SINGLE, Cells, Numbers, Table, Words, is_float, is_known, to_float

NONE, DEAD = object(), object()
ROUNDS = 40  # of a loop whose end depends on terms; the longest table has 32 segments
REACHED = 10_000_000  # z3's count of steps to show that a branch which has no term cannot be reached, a few seconds
Contract = Callable[..., Any]
COMPARE = {
    ast.Lt: (lambda a, b: a < b, z3.fpLT),
    ast.LtE: (lambda a, b: a <= b, z3.fpLEQ),
    ast.Gt: (lambda a, b: a > b, z3.fpGT),
    ast.GtE: (lambda a, b: a >= b, z3.fpGEQ),
    ast.Eq: (lambda a, b: a == b, z3.fpEQ),
    ast.NotEq: (lambda a, b: a != b, z3.fpNEQ),
}
OPERATION = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
FLOAT_OPERATION = {ast.Add: z3.fpAdd, ast.Sub: z3.fpSub, ast.Mult: z3.fpMul, ast.Div: z3.fpDiv}


class Unsupported(Exception):
    """The source does something that the machine has no term for."""


class Machine:
    """One run of the twin's source.

    words      64-bit words and floats, else mathematical integers
    contracts  "module.name" -> what stands for the function
    goals      (label, formula): what must hold, each under the conditions of its path
    assumed    the bounds of the inputs; a branch that they exclude and that has no term is left out
    facts      formulas that hold, each an instance of a proven obligation or a bound of the parameter check
    entered    the functions whose source was read
    """

    def __init__(self, twin: Twin, words: bool, contracts: dict[str, Contract] | None = None) -> None:
        self.twin = twin
        self.goals: list[tuple[str, Any]] = []
        self.facts: list[Any] = []
        self.path: list[Any] = []
        self.assumed: list[Any] = []
        self.entered: set[str] = set()
        self.contracts = contracts or {}
        self.numbers: Any = Words(self.need) if words else Numbers(self.need)

    def need(self, label: str, formula: Any) -> None:
        """A goal, under the conditions of the path."""
        formula = z3.BoolVal(formula) if isinstance(formula, bool) else formula
        self.goals.append((label, z3.Implies(z3.And(*self.path), formula) if self.path else formula))

    def call(self, name: str, arguments: Sequence[Any]) -> Any:
        """The value of a function of the twin, its body entered."""
        tree = self.twin.tree(name)
        self.entered.add(name)
        parameters = [a.arg for a in tree.args.args]
        if len(parameters) != len(arguments):
            raise Unsupported(f"{name} takes {len(parameters)} arguments, not {len(arguments)}")
        frame = Frame(self, name, self.twin.globals_of(name))
        found = frame.block(tree.body, dict(zip(parameters, arguments)))
        return None if found is NONE else found

    def merge(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b; tuples element by element."""
        if a is DEAD or b is DEAD:
            return b if a is DEAD else a
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            return tuple(self.merge(condition, p, q) for p, q in zip(a, b))
        if isinstance(a, tuple) or isinstance(b, tuple) or a is NONE or b is NONE or a is None or b is None:
            if a is b:
                return a
            raise Unsupported("the branches of an if end differently")
        if is_known(a) and is_known(b) and type(a) is type(b) and a == b and not is_float(a):
            return a
        if is_float(a) or is_float(b):
            sort = next((v.sort() for v in (a, b) if z3.is_fp(v)), SINGLE)
            return z3.If(condition, to_float(a, sort), to_float(b, sort))
        lift = z3.BoolVal if isinstance(a, bool) and isinstance(b, bool) else self.numbers.constant
        return z3.If(condition, lift(a) if is_known(a) else a, lift(b) if is_known(b) else b)


class Frame:
    """One call: a function's names and statements."""

    def __init__(self, machine: Machine, name: str, names: dict[str, Any]) -> None:
        self.machine, self.name, self.names, self.numbers = machine, name, names, machine.numbers
        self.rounds: dict[ast.stmt, int] = {}

    def label(self, node: ast.AST) -> str:
        return f"{self.name}: {ast.unparse(node)}"

    # -- statements

    def block(self, statements: Sequence[ast.stmt], scope: dict[str, Any]) -> Any:
        """What the statements return, NONE when they end without a return."""
        for i, s in enumerate(statements):
            if isinstance(s, ast.Return):
                return None if s.value is None else self.value(s.value, scope)
            if isinstance(s, (ast.If, ast.While)):
                condition = self.truth(s.test, scope)
                again = [s] if isinstance(s, ast.While) else []
                yes, no = [*s.body, *again, *statements[i + 1 :]], [*s.orelse, *statements[i + 1 :]]
                if isinstance(condition, bool):
                    return self.block(yes if condition else no, scope)
                if again:
                    self.rounds[s] = self.rounds.get(s, 0) + 1
                    if self.rounds[s] > ROUNDS:
                        self.machine.need(f"{self.label(s.test)} ends a loop within {ROUNDS} rounds", False)
                        return DEAD
                return self.machine.merge(
                    condition,
                    self.on(condition, partial(self.block, yes, dict(scope))),
                    self.on(z3.Not(condition), partial(self.block, no, dict(scope))),
                )
            if isinstance(s, ast.For):
                found = self.loop(s, scope)
                if found is not NONE:
                    return found
            else:
                self.simple(s, scope)
        return NONE

    def loop(self, s: ast.For, scope: dict[str, Any]) -> Any:
        call = s.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise Unsupported(self.label(s.iter))
        for i in range(*(int(self.value(a, scope)) for a in call.args)):
            self.assign(s.target, i, scope)
            found = self.block(s.body, scope)
            if found is not NONE:
                return found
        return NONE

    def on(self, condition: Any, follow: Callable[[], Any]) -> Any:
        self.machine.path.append(condition)
        try:
            return follow()
        except Unsupported:
            solver = z3.Solver()
            solver.set("rlimit", REACHED)
            solver.add(*self.machine.assumed, *self.machine.path)
            if solver.check() != z3.unsat:
                raise
            return DEAD
        finally:
            self.machine.path.pop()

    def simple(self, s: ast.stmt, scope: dict[str, Any]) -> None:
        if isinstance(s, ast.Assign):
            value = self.value(s.value, scope)
            for target in s.targets:
                self.assign(target, value, scope)
        elif isinstance(s, ast.AugAssign):
            load = ast.parse(ast.unparse(s.target), mode="eval").body
            self.assign(s.target, self.operate(s, s.op, self.value(load, scope), self.value(s.value, scope)), scope)
        elif isinstance(s, ast.Expr):
            self.value(s.value, scope)
        else:
            raise Unsupported(self.label(s))

    def assign(self, target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            scope[target.id] = value
        elif isinstance(target, ast.Tuple):
            if len(target.elts) != len(value):
                raise Unsupported(f"{self.label(target)} takes {len(value)} values")
            for part, v in zip(target.elts, value):
                self.assign(part, v, scope)
        elif isinstance(target, ast.Subscript):
            array = self.value(target.value, scope)
            known = is_known(value) or array.kind != "int32"
            index = self.value(target.slice, scope)
            value = value if known else self.numbers.narrow(self.label(target), value)
            if self.machine.path:  # the other branches go on with what was there
                value = self.machine.merge(z3.And(*self.machine.path), value, array[index])
            array.store(index, value)
        else:
            raise Unsupported(self.label(target))

    # -- expressions

    def truth(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        """A known bool where z3 sees it, else a formula."""
        value = self.value(node, scope)
        if is_known(value):
            return bool(value)
        seen = z3.simplify(value)
        return True if z3.is_true(seen) else False if z3.is_false(seen) else value

    def value(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method is None:
            raise Unsupported(self.label(node))
        return method(node, scope)

    def on_Constant(self, node: ast.Constant, scope: dict[str, Any]) -> Any:
        return node.value

    def on_Name(self, node: ast.Name, scope: dict[str, Any]) -> Any:
        if node.id in scope:
            return scope[node.id]
        if node.id in self.names:
            return self.names[node.id]
        return {"min": min, "max": max, "len": len}[node.id]

    def on_Tuple(self, node: ast.Tuple, scope: dict[str, Any]) -> Any:
        return tuple(self.value(e, scope) for e in node.elts)

    def on_Attribute(self, node: ast.Attribute, scope: dict[str, Any]) -> Any:
        base = self.value(node.value, scope)
        if isinstance(base, Cells) and node.attr == "shape" or isinstance(base, ModuleType):
            return getattr(base, node.attr)
        raise Unsupported(self.label(node))

    def on_Subscript(self, node: ast.Subscript, scope: dict[str, Any]) -> Any:
        base, index = self.value(node.value, scope), self.value(node.slice, scope)
        if isinstance(base, Table):
            return self.entry(node, base, index)
        try:
            return base[index]
        except IndexError:
            self.machine.need(f"{self.label(node)} has an index of its array", False)
            return self.numbers.constant(0)

    def entry(self, node: ast.AST, table: Table, index: tuple[int, Any]) -> Any:
        row, column = index
        if row == 0:
            return table.header[column]
        inside = 0 <= column < table.count if is_known(column) else z3.And(column >= 0, column < table.count)
        self.machine.need(f"{self.label(node)} has an index in [0, {table.count - 1}]", inside)
        found = table.read(row, self.numbers.constant(column) if is_known(column) else column)
        low, high = table.bounds[row - 1]
        if is_known(found):
            return found
        self.machine.facts += [found >= low, found <= high]
        return found

    def on_IfExp(self, node: ast.IfExp, scope: dict[str, Any]) -> Any:
        condition = self.truth(node.test, scope)
        if isinstance(condition, bool):
            return self.value(node.body if condition else node.orelse, scope)
        return self.machine.merge(
            condition,
            self.on(condition, lambda: self.value(node.body, scope)),
            self.on(z3.Not(condition), lambda: self.value(node.orelse, scope)),
        )

    def on_BoolOp(self, node: ast.BoolOp, scope: dict[str, Any]) -> Any:
        both = isinstance(node.op, ast.And)
        terms: list[Any] = []
        for part in node.values:  # a later part is only looked at where the earlier ones do not decide
            reached = (z3.And(*terms) if both else z3.Not(z3.Or(*terms))) if terms else None
            found = self.truth(part, scope) if reached is None else self.on(reached, partial(self.truth, part, scope))
            if isinstance(found, bool):
                if found != both:
                    return found
                continue
            if found is not DEAD:
                terms.append(found)
        if not terms:
            return both
        return terms[0] if len(terms) == 1 else z3.And(*terms) if both else z3.Or(*terms)

    def on_Compare(self, node: ast.Compare, scope: dict[str, Any]) -> Any:
        terms, left = [], self.value(node.left, scope)
        for op, right_node in zip(node.ops, node.comparators):
            right = self.value(right_node, scope)
            plain, float_op = COMPARE[type(op)]
            if is_known(left) and is_known(right):
                terms.append(z3.BoolVal(bool(plain(left, right))))
            elif is_float(left) or is_float(right):
                sort = DOUBLE if any(z3.is_fp(v) and v.sort() == DOUBLE for v in (left, right)) else SINGLE
                terms.append(float_op(to_float(left, sort), to_float(right, sort)))
            else:
                terms.append(plain(left, right) if not is_known(left) else plain(self.numbers.constant(left), right))
            left = right
        found = terms[0] if len(terms) == 1 else z3.And(*terms)
        return True if z3.is_true(found) else False if z3.is_false(found) else found

    def on_UnaryOp(self, node: ast.UnaryOp, scope: dict[str, Any]) -> Any:
        if isinstance(node.op, ast.Not):
            found = self.truth(node.operand, scope)
            return (not found) if isinstance(found, bool) else z3.Not(found)
        a = self.value(node.operand, scope)
        if not isinstance(node.op, ast.USub):
            raise Unsupported(self.label(node))
        if is_known(a):
            return -a
        return z3.fpNeg(a) if is_float(a) else self.numbers.sub(self.label(node), self.numbers.constant(0), a)

    def on_BinOp(self, node: ast.BinOp, scope: dict[str, Any]) -> Any:
        return self.operate(node, node.op, self.value(node.left, scope), self.value(node.right, scope))

    def operate(self, node: ast.AST, op: ast.operator, a: Any, b: Any) -> Any:
        label = self.label(node)
        if is_float(a) or is_float(b):
            sort = next((v.sort() for v in (a, b) if z3.is_fp(v)), SINGLE)
            if type(op) not in FLOAT_OPERATION:
                raise Unsupported(label)
            return FLOAT_OPERATION[type(op)](z3.RNE(), to_float(a, sort), to_float(b, sort))
        if is_known(a) and is_known(b):
            return self.known(label, op, int(a), int(b))
        if type(op) in OPERATION:
            return getattr(self.numbers, OPERATION[type(op)])(label, a, b)
        if not is_known(b):
            raise Unsupported(f"{label} with an unknown right side")
        known = int(b)
        if isinstance(op, (ast.LShift, ast.RShift)):
            if not 0 <= known <= 63:
                self.machine.need(f"{label} shifts by 0 to 63", False)
                return self.numbers.constant(0)  # undefined in compiled code; the goal above fails where it is reached
            return (self.numbers.left if isinstance(op, ast.LShift) else self.numbers.right)(label, a, known)
        if isinstance(op, ast.BitAnd):
            return self.numbers.mask(label, a, known)
        if isinstance(op, ast.FloorDiv):
            return self.numbers.quotient(label, a, known)
        raise Unsupported(label)

    def known(self, label: str, op: ast.operator, a: int, b: int) -> int:
        tree = ast.Expression(ast.BinOp(ast.Constant(a), op, ast.Constant(b)))
        found = eval(compile(ast.fix_missing_locations(tree), "", "eval"))
        if not -(2**63) <= found < 2**63:
            self.machine.need(f"{label} stays in int64", False)
        return int(found)

    def on_Call(self, node: ast.Call, scope: dict[str, Any]) -> Any:
        function = self.value(node.func, scope)
        arguments = [self.value(a, scope) for a in node.args]
        if function in (np.int64, np.int32, np.float32, np.float64):
            return self.cast(node, function, arguments[0])
        if function in (min, max, len):
            return function(*(int(a) for a in arguments))
        if function is np.empty:
            return Cells(np.full(arguments[0], 0, object), np.dtype(arguments[1]).name)
        name = name_of(function)
        if not name:
            raise Unsupported(self.label(node))
        if name in self.machine.contracts:
            return self.machine.contracts[name](*arguments)
        return self.machine.call(name, arguments)

    def cast(self, node: ast.AST, kind: Any, a: Any) -> Any:
        if kind in (np.float32, np.float64):
            if is_known(a) and not z3.is_expr(a):
                return kind(a)
            return to_float(a, SINGLE if kind is np.float32 else DOUBLE)
        if is_known(a):
            return int(a) if kind is np.int64 or -(2**31) <= int(a) < 2**31 else int(np.int64(int(a)).astype(np.int32))
        if z3.is_fp(a):
            return z3.fpToSBV(RTZ, a, z3.BitVecSort(64))
        return a if kind is np.int64 else self.numbers.narrow(self.label(node), a)
