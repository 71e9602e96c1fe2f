"""Wrong answers made by machine: one small change of a right function's source, and answers of random kinds."""

import ast
import copy
import functools
import inspect
import sys
import textwrap

import numpy as np
import torch

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
             ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
             ast.Gt: ast.Lt, ast.Lt: ast.LtE, ast.GtE: ast.Gt, ast.LtE: ast.Lt, ast.Eq: ast.NotEq}  # fmt: skip


def mutants(function):
    """Yield (what was changed, the new one) for every small change of a function's or class's source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for number, (words, _) in enumerate(edits(tree)):
        changed = copy.deepcopy(tree)
        next(edit for place, (_, edit) in enumerate(edits(changed)) if place == number)()
        names = dict(vars(sys.modules[function.__module__]))
        try:
            exec(compile(ast.fix_missing_locations(changed), "<mutant>", "exec"), names)
        except (SyntaxError, ValueError):
            continue
        yield words, names[function.__name__]


def edits(tree):
    """Yield (words, function that makes the change) for every change."""
    for parent in ast.walk(tree.body[0]):
        for field, value in ast.iter_fields(parent):
            if field in ("args", "decorator_list", "returns") and isinstance(parent, ast.FunctionDef):
                continue
            for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST):
                    continue
                for new in replacements(node):
                    put = (setattr, parent, field) if place is None else (list.__setitem__, value, place)
                    words = f"line {getattr(node, 'lineno', 0)}: {name(node)} -> {name(new)}"
                    yield words, functools.partial(*put, new)


def name(node) -> str:
    return type(node).__name__ if isinstance(node, ast.operator | ast.cmpop) else ast.unparse(node)


def replacements(node):
    """Yield what could stand in a node's place."""
    if type(node) in OPERATORS:
        yield OPERATORS[type(node)]()
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (ast.Constant(node.value + step) for step in (1, -1))
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)  # one term dropped
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.BoolOp):
        yield from node.values
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not is_module(node.func.value):
            yield node.func.value  # x.sum() -> x
        elif node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
            yield node.args[0]  # sqrt(x) -> x
        if len(node.args) == 2:
            yield ast.Call(node.func, node.args[::-1], node.keywords)
        for place in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:place] + node.keywords[place + 1 :])
    if isinstance(node, ast.Attribute) and node.attr == "T" or isinstance(node, ast.Subscript):
        yield node.value
    if isinstance(node, ast.Tuple | ast.List) and len(node.elts) > 1:
        yield type(node)(node.elts[::-1], node.ctx)
        if isinstance(node.ctx, ast.Load):
            yield from (type(node)(node.elts[:i] + node.elts[i + 1 :], node.ctx) for i in range(len(node.elts)))
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    if isinstance(node, ast.If):
        yield from (ast.If(ast.Constant(value), node.body, node.orelse) for value in (True, False))
    if isinstance(node, ast.Assign | ast.AugAssign) or isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()


def is_module(node) -> bool:
    return isinstance(node, ast.Name) and node.id in ("torch", "np", "F", "nn", "os", "statistics", "losses", "math")


class Hostile:
    """An object that raises whatever is done with it."""

    def refuse(self, *args):
        raise RuntimeError("no")

    __eq__ = __bool__ = __len__ = __iter__ = __array__ = __float__ = __repr__ = __str__ = __getattr__ = refuse
    __getitem__ = __add__ = __hash__ = __lt__ = refuse


class BadError(Exception):
    __str__ = Hostile.refuse


def random_value(generator, depth=0):
    """A value of a random kind."""
    shape = tuple(generator.integers(0, 4, generator.integers(0, 5)).tolist())
    numbers = generator.normal(size=shape) * 10.0 ** generator.integers(-2, 4)
    kinds = [
        lambda: int(generator.integers(-3, 200)), lambda: float(generator.normal()), lambda: numbers,
        lambda: torch.from_numpy(np.array(numbers)).float(), lambda: torch.from_numpy(np.array(numbers)) > 0,
        lambda: np.array(numbers).astype(int), lambda: torch.tensor(numbers, requires_grad=True),
        lambda: [float("nan"), float("inf"), 10**400, True, 1j, "", "a text", b"bytes"][generator.integers(8)],
        lambda: generator.choice(np.array([None, ..., NotImplemented, int, Exception, object(), torch], object)),
        lambda: Hostile(), lambda: (x for x in (1, 2)), lambda: range(3), lambda: {1: 2}, lambda: {3},
        lambda: torch.nn.Linear(3, 2), lambda: np.array([None, "x"], object), lambda: np.array(["a", "b"]),
        lambda: torch.zeros(2, device="meta"), lambda: torch.zeros(2, 2).to_sparse(),
    ]  # fmt: skip
    if depth < 2:
        kinds += [lambda: [random_value(generator, depth + 1) for _ in range(generator.integers(0, 5))]] * 3
        kinds += [lambda: tuple(random_value(generator, depth + 1) for _ in range(generator.integers(0, 5)))] * 3
    return kinds[generator.integers(len(kinds))]()


def random_answer(generator):
    """An answer of a random kind: a value, or a function that returns one, breaks, or gives back its inputs."""

    def fail(*inputs):
        raise [BadError("x"), ValueError, SystemExit(1), RecursionError("deep"), StopIteration, KeyError(3)][kind % 6]

    kind, value = int(generator.integers(100)), random_value(generator)
    functions = [
        lambda *inputs: value, lambda *inputs: inputs[kind % len(inputs)], fail, lambda: value, lambda x: x,
        lambda *inputs: inputs[0] + inputs[-1], lambda *inputs: (value,) * (kind % 6),
        lambda *inputs: inputs[0].clear(), lambda *inputs: [inputs[-1]] * (kind % 6),
        lambda *inputs: torch.nn.Identity(), lambda *inputs: inputs[0] * value,
    ]  # fmt: skip
    return value if kind < 30 else functions[kind % len(functions)]
