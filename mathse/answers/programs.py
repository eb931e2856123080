"""What a small program prints, by walking its syntax tree: nothing that a model wrote is run.

Some benchmarks ask for a program and take its output as the answer. The tree's arithmetic, lists, conditions, loops and own functions
are followed here, step by step, with the functions of `program_values`; whatever else there is (attributes, other modules, classes,
files) ends it without an answer. Steps, numbers, texts and lists are bounded, so that no program takes more than a moment.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from mathse.answers.program_values import BUILTINS, FORMAT, MATH, METHODS, OPERATORS, NotFollowed, binary, bounded

LONGEST, STEPS, DEEPEST = 4000, 20_000, 20  # characters of a program, steps, calls within calls
Names = dict[str, Any]


class _Leaves(Exception):
    """A statement that leaves what it stands in: return, break, continue."""

    def __init__(self, kind: type[ast.stmt], value: Any = None) -> None:
        self.kind, self.value = kind, value


def printed(text: str) -> str | None:
    """The last line that the program prints, or None where it is no program or cannot be followed to its end.

    >>> printed("total = 0\\nfor n in [1, 2, 3]:\\n    total += n ** 2\\nprint(total)")
    '14'
    """
    if len(text) > LONGEST or "print(" not in text:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
        walker = _Walker()
        walker.block(tree.body, {})
    except (
        NotFollowed,
        _Leaves,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ):
        return None
    return walker.said[-1].strip().split("\n")[-1] if walker.said else None


class _Walker:
    """Follows statements; `said` is what they printed."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps = self.depth = 0
        self.top: Names = {}
        self.functions: dict[str, ast.FunctionDef] = {}
        self.modules: set[str] = set()

    def block(self, statements: Sequence[ast.stmt], names: Names) -> None:
        if not self.depth:
            self.top = names
        for statement in statements:
            self._step()
            self._statement(statement, names)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > STEPS:
            raise NotFollowed

    def _statement(self, node: ast.stmt, names: Names) -> None:
        match node:
            case ast.Expr(value=value):
                self.value(value, names)
            case ast.Assign(targets=targets, value=value):
                found = self.value(value, names)
                for target in targets:
                    self._assign(target, found, names)
            case ast.AugAssign(target=target, op=op, value=value):
                before = self.value(ast.copy_location(_loaded(target), target), names)
                self._assign(target, binary(op, before, self.value(value, names)), names)
            case ast.If(test=test, body=body, orelse=orelse):
                self.block(body if self.value(test, names) else orelse, names)
            case ast.For(target=target, iter=over, body=body, orelse=[]):
                self._loop(((target, one) for one in list(self.value(over, names))), body, names)
            case ast.While(test=test, body=body, orelse=[]):
                self._loop((None for _ in iter(lambda: bool(self.value(test, names)), False)), body, names)
            case ast.FunctionDef(name=name, decorator_list=[]):
                self.functions[name] = node
            case ast.Return(value=given):
                raise _Leaves(ast.Return, None if given is None else self.value(given, names))
            case ast.Break() | ast.Continue():
                raise _Leaves(type(node))
            case ast.Import(names=modules):
                self.modules |= {module.asname or module.name for module in modules if module.name == "math"}
            case ast.ImportFrom(module="math", names=imported):
                names.update({one.asname or one.name: MATH[one.name] for one in imported if one.name in MATH})
            case ast.Pass() | ast.ImportFrom():
                pass
            case _:
                raise NotFollowed

    def _loop(self, rounds: Iterator[tuple[ast.expr, Any] | None], body: Sequence[ast.stmt], names: Names) -> None:
        for assigned in rounds:
            self._step()
            if assigned:
                self._assign(*assigned, names)
            try:
                self.block(body, names)
            except _Leaves as leaves:
                if leaves.kind is ast.Return:
                    raise
                if leaves.kind is ast.Break:
                    return

    def _assign(self, target: ast.expr, value: Any, names: Names) -> None:
        match target:
            case ast.Name(id=name):
                names[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for one, part in zip(targets, list(value), strict=True):
                    self._assign(one, part, names)
            case ast.Subscript(value=where, slice=place) if not isinstance(place, ast.Slice):
                holder = self.value(where, names)
                holder[self.value(place, names)] = value
                bounded(holder)
            case _:
                raise NotFollowed

    def value(self, node: ast.expr, names: Names) -> Any:
        """What an expression comes to."""
        self._step()
        return bounded(self._value(node, names))

    def _value(self, node: ast.expr, names: Names) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return names[name] if name in names else self.top[name]
            case ast.List(elts=members):
                return [self.value(member, names) for member in members]
            case ast.Tuple(elts=members):
                return tuple(self.value(member, names) for member in members)
            case ast.Set(elts=members):
                return {self.value(member, names) for member in members}
            case ast.Dict(keys=keys, values=values):
                return {
                    self.value(key, names): self.value(one, names) for key, one in zip(keys, values, strict=True) if key
                }
            case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
                return OPERATORS[type(op)](None, self.value(operand, names))
            case ast.BinOp(left=left, op=op, right=right):
                return binary(op, self.value(left, names), self.value(right, names))
            case ast.BoolOp(op=op, values=values):
                return self._bool(isinstance(op, ast.And), values, names)
            case ast.Compare(left=left, ops=ops, comparators=others):
                members = [left, *others]
                pairs = zip(members, ops, others, strict=False)
                return all(OPERATORS[type(op)](self.value(a, names), self.value(b, names)) for a, op, b in pairs)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test, names) else orelse, names)
            case ast.Subscript(value=where, slice=place):
                return self.value(where, names)[self._place(place, names)]
            case ast.JoinedStr(values=parts):
                return "".join(self._part(part, names) for part in parts)
            case ast.ListComp(elt=member, generators=[loop]) | ast.GeneratorExp(elt=member, generators=[loop]):
                return list(self._comprehended(member, loop, dict(names)))
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self.modules:
                return MATH[name]
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(function, [self.value(argument, names) for argument in arguments], names)
        raise NotFollowed

    def _bool(self, both: bool, values: Sequence[ast.expr], names: Names) -> Any:
        found = both
        for value in values:
            found = self.value(value, names)
            if bool(found) != both:
                break
        return found

    def _place(self, place: ast.expr, names: Names) -> Any:
        if not isinstance(place, ast.Slice):
            return self.value(place, names)
        return slice(
            *(None if end is None else self.value(end, names) for end in (place.lower, place.upper, place.step))
        )

    def _part(self, part: ast.expr, names: Names) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        if not isinstance(part, ast.FormattedValue) or part.conversion != -1:
            raise NotFollowed
        form = "" if part.format_spec is None else str(self._value(part.format_spec, names))
        if not FORMAT.fullmatch(form):
            raise NotFollowed
        return format(self.value(part.value, names), form)

    def _comprehended(self, member: ast.expr, loop: ast.comprehension, names: Names) -> Iterator[Any]:
        for one in list(self.value(loop.iter, names)):
            self._step()
            self._assign(loop.target, one, names)
            if all(self.value(test, names) for test in loop.ifs):
                yield self.value(member, names)

    def _call(self, function: ast.expr, arguments: list[Any], names: Names) -> Any:
        match function:
            case ast.Name(id="print"):
                self.said.append(" ".join(map(str, arguments)))
                return None
            case ast.Name(id=name) if name in self.functions:
                return self._own(self.functions[name], arguments)
            case ast.Name(id=name) if name in BUILTINS and name not in names:
                found = BUILTINS[name](*arguments)
                return found if isinstance(found, (int, float, str, list, tuple, set)) else list(found)
            case ast.Name(id=name) if callable(names.get(name, self.top.get(name))):
                return (names if name in names else self.top)[name](*arguments)  # of MATH: no other value can be called
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self.modules:
                return MATH[name](*arguments)
            case ast.Attribute(value=holder, attr=name):
                owner = self.value(holder, names)
                if name not in METHODS.get(type(owner), ()):
                    raise NotFollowed
                found = getattr(owner, name)(*arguments)
                bounded(owner)
                return list(found) if isinstance(owner, dict) and name != "get" else found
        raise NotFollowed

    def _own(self, function: ast.FunctionDef, arguments: list[Any]) -> Any:
        """A call of a function that the program defines, by position."""
        taken = function.args
        if taken.vararg or taken.kwarg or taken.kwonlyargs or taken.defaults or self.depth >= DEEPEST:
            raise NotFollowed
        self.depth += 1
        try:
            self.block(function.body, dict(zip((one.arg for one in taken.args), arguments, strict=True)))
        except _Leaves as leaves:
            if leaves.kind is not ast.Return:
                raise
            return leaves.value
        finally:
            self.depth -= 1
        return None


def _loaded(target: ast.expr) -> ast.expr:
    """What is assigned to, to be read. Raises NotFollowed where that is neither a name nor a place."""
    match target:
        case ast.Name(id=name):
            return ast.Name(name, ast.Load())
        case ast.Subscript(value=value, slice=place):
            return ast.Subscript(value, place, ast.Load())
    raise NotFollowed
