"""Expressions mean what Python's own parser says that they mean, on random texts."""

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.diagnostics import AttnError
from attnc.grammar.parser import parse_expression
from attnc.grammar.tree import (
    Argument,
    Binary,
    Boolean,
    Call,
    Compare,
    Component,
    Conditional,
    Logic,
    Name,
    Number,
    Slice,
    Subscript,
    Tuple,
    Unary,
)
from attnc.grammar.words import LEVELS

OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
    ast.NotIn: "not in", ast.UAdd: "+", ast.USub: "-", ast.Not: "not", ast.And: "and", ast.Or: "or",
}  # fmt: skip


def converted(node):
    """Python's tree in our nodes: written independently of the front end."""
    match node:
        case ast.Constant(value=bool() as value):
            return Boolean(value)
        case ast.Constant(value=value):
            return Number(value)
        case ast.Name(id=name):
            return Name(name)
        case ast.Attribute(value=base, attr=name):
            return Component(converted(base), name)
        case ast.BinOp(left=left, op=op, right=right):
            return Binary(OPERATORS[type(op)], converted(left), converted(right))
        case ast.UnaryOp(op=op, operand=operand):
            return Unary(OPERATORS[type(op)], converted(operand))
        case ast.BoolOp(op=op, values=values):
            first, *rest = map(converted, values)
            word = OPERATORS[type(op)]
            start = first.operands if isinstance(first, Logic) and first.operator == word else (first,)
            return Logic(word, (*start, *rest))
        case ast.Compare(left=left, ops=ops, comparators=sides):
            words = [OPERATORS[type(op)] for op in ops]
            return Compare(converted(left), tuple(zip(words, map(converted, sides))))
        case ast.IfExp(test=test, body=then, orelse=other):
            return Conditional(converted(test), converted(then), converted(other))
        case ast.Call(func=function, args=arguments, keywords=keywords):
            named = [Argument(converted(one.value), one.arg) for one in keywords]
            return Call(converted(function), None, (*(Argument(converted(one)) for one in arguments), *named))
        case ast.Subscript(value=base, slice=ast.Tuple(elts=entries)):
            return Subscript(converted(base), tuple(map(converted, entries)))
        case ast.Subscript(value=base, slice=entry):
            return Subscript(converted(base), (converted(entry),))
        case ast.Slice(lower=low, upper=high):
            return Slice(low and converted(low), high and converted(high))
        case ast.Tuple(elts=elements):
            return Tuple(tuple(map(converted, elements)))
    raise AssertionError(ast.dump(node))


infix = st.sampled_from([*LEVELS, "**", "not in", "not  \n in"])
prefix = st.sampled_from(["", "", "", "-", "+", "not ", "- ", "-+"])
atom = st.sampled_from(["a", "b", "1", "2.5", "1e-3", ".5", "0x1F", "1_000", "True", "i.y"])


def compound(inner):
    chain = st.builds(
        lambda first, rest: first + "".join(f" {operator} {sign}{operand}" for operator, sign, operand in rest),
        st.builds(str.__add__, prefix, inner),
        st.lists(st.tuples(infix, prefix, inner), max_size=4),
    )
    return (
        chain
        | chain.map("({})".format)
        | st.builds("{} if {} else {}".format, chain, chain, chain)
        | st.builds("f({}, by={})".format, chain, chain)
        | st.builds("q[{}, {}:, :{}]".format, chain, chain, chain)
        | st.builds("({} in ({}, {}))".format, inner, chain, chain)
    )


texts = st.recursive(atom, compound, max_leaves=7)


def outcome(read, text):
    try:
        return repr(read(text))
    except (SyntaxError, AttnError):
        return "refused"


def as_python(text):
    return converted(ast.parse(f"({text}\n)", mode="eval").body)


@given(texts)
@settings(max_examples=250, deadline=None)
def test_same_tree_as_python(text):
    assert outcome(parse_expression, text) == outcome(as_python, text)


def test_the_notable_cases():
    for text, same in [
        ("-a ** b", "-(a ** b)"),
        ("a ** -b ** c", "a ** (-(b ** c))"),
        ("a ** b ** c", "a ** (b ** c)"),
        ("a - b - c", "(a - b) - c"),
        ("not a == b", "not (a == b)"),
        ("a or b and not c", "a or (b and (not c))"),
        ("a | b ^ c & d << e + f * g", "a | (b ^ (c & (d << (e + (f * g)))))"),
        ("a @ b / c", "(a @ b) / c"),
        ("a if b else c if d else e", "a if b else (c if d else e)"),
        ("(a and b) and c", "a and b and c"),
        ("-a % b", "(-a) % b"),
    ]:
        assert parse_expression(text) == parse_expression(same), text
    assert parse_expression("(a < b) < c") != parse_expression("a < b < c")
    assert parse_expression("a and (b and c)") != parse_expression("a and b and c")
