# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""FHIRPath text to a tree. http://hl7.org/fhirpath/N1/#grammar"""

from dataclasses import dataclass
from decimal import Decimal
import re
from typing import Any, Final

from fhir_server.validation.fhirpath.values import Moment, Quantity, moment


class FhirPathError(ValueError):
    """The expression can't be read, or can't be evaluated on these values. Never holds a value of a resource."""


class Unsupported(FhirPathError):
    """The expression uses a function that this engine leaves out."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A part of an expression."""

    op: str
    """literal, empty, name, call, dot, index, this, position, total, variable, negative, type, or the operator."""
    value: Any = None
    """The literal, the name, or the name of the type."""
    parts: tuple["Tree", ...] = ()


_TOKEN: Final = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<moment>@(?:T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?
        |[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
            (?:T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+\-][0-9]{2}:[0-9]{2})?)?)?))
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    |(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_\-]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))
    |(?P<special>\$(?:this|index|total))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark><=|>=|!=|!~|[+\-*/|&=~<>.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_LEVELS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "~", "!=", "!~"}),
    frozenset({"<", ">", "<=", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
    frozenset({"*", "/", "div", "mod"}),
)
_TYPE_LEVEL: Final = 7
UNITS: Final = frozenset(
    f"{each}{many}" for each in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for many in ("", "s")
)  # fmt: skip
_KEYWORDS: Final = frozenset({"div", "mod", "and", "or", "xor", "implies", "true", "false"})


def parse(text: str) -> Tree:
    """The tree of an expression. Raises `FhirPathError`."""
    parser = _Parser(_tokens(text))
    tree = parser.expression(0)
    if parser.kind != "end":
        raise FhirPathError("the expression goes on after its end")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FhirPathError(f"unexpected character at {at}")
        if match.lastgroup:
            found.append((match.lastgroup, match.group()))
        at = match.end()
    return [*found, ("end", "")]


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(one, text[1:-1])


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    @property
    def text(self) -> str:
        return self.tokens[self.at][1]

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][1]

    def is_mark(self, text: str) -> bool:
        return self.kind == "mark" and self.text == text

    def expect(self, text: str) -> None:
        if not self.is_mark(text):
            raise FhirPathError(f"{text} expected")
        self.at += 1

    def expression(self, level: int) -> Tree:
        if level == len(_LEVELS):
            return self.signed()
        left = self.expression(level + 1)
        while self.kind in ("mark", "name") and self.text in _LEVELS[level]:
            op = self.take()
            if level == _TYPE_LEVEL:
                left = Tree("type", (op, self.type_name()), (left,))
            else:
                left = Tree(op, None, (left, self.expression(level + 1)))
        return left

    def signed(self) -> Tree:
        if self.is_mark("-") or self.is_mark("+"):
            op = self.take()
            part = self.signed()
            return Tree("negative", None, (part,)) if op == "-" else Tree("positive", None, (part,))
        return self.chain()

    def chain(self) -> Tree:
        left = self.term()
        while True:
            if self.is_mark("."):
                self.at += 1
                left = Tree("dot", None, (left, self.invocation()))
            elif self.is_mark("["):
                self.at += 1
                left = Tree("index", None, (left, self.expression(0)))
                self.expect("]")
            else:
                return left

    def term(self) -> Tree:
        kind, text = self.kind, self.text
        if kind == "string":
            self.at += 1
            return Tree("literal", _unescaped(text))
        if kind == "number":
            self.at += 1
            return Tree("literal", self.number(text))
        if kind == "moment":
            self.at += 1
            return Tree("literal", _moment(text))
        if kind == "variable":
            self.at += 1
            name = text[1:]
            return Tree("variable", _unescaped(name) if name[0] in "`'" else name)
        if self.is_mark("("):
            self.at += 1
            inner = self.expression(0)
            self.expect(")")
            return Tree("group", None, (inner,))
        if self.is_mark("{"):
            self.at += 1
            self.expect("}")
            return Tree("empty")
        if kind == "name" and text in ("true", "false"):
            self.at += 1
            return Tree("literal", text == "true")
        return self.invocation()

    def number(self, text: str) -> Any:
        value = Decimal(text)
        if self.kind == "string":
            return Quantity(value, _unescaped(self.take()))
        if self.kind == "name" and self.text in UNITS:
            return Quantity(value, self.take())
        return value if "." in text else int(text)

    def invocation(self) -> Tree:
        kind = self.kind
        if kind == "special":
            return Tree({"$this": "this", "$index": "position", "$total": "total"}[self.take()])
        if kind == "quoted":
            return Tree("name", _unescaped(self.take()))
        if kind != "name" or self.text in _KEYWORDS:
            raise FhirPathError("a name is expected")
        name = self.take()
        if not self.is_mark("("):
            return Tree("name", name)
        self.at += 1
        args: list[Tree] = []
        while not self.is_mark(")"):
            args.append(self.expression(0))
            if not self.is_mark(")"):
                self.expect(",")
                if self.is_mark(")"):
                    raise FhirPathError("a comma stands before the end of the arguments")
        self.at += 1
        return Tree("call", name, tuple(args))

    def type_name(self) -> str:
        if self.kind not in ("name", "quoted"):
            raise FhirPathError("the name of a type is expected")
        name = self.take().strip('`"')
        while self.is_mark("."):
            self.at += 1
            name += "." + self.take().strip('`"')
        return name


def _moment(text: str) -> Moment:
    found = moment(text[1:])
    if found is None:
        raise FhirPathError("a date or time is expected after @")
    return found
