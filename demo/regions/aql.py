# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""A small AQL: SELECT paths FROM EHR CONTAINS … WHERE … ORDER BY … LIMIT, over canonical JSON.

https://specifications.openehr.org/releases/QUERY/Release-1.1.0/AQL.html, as far as a reader of compositions needs it.
Not there: functions, VERSION, AND/OR inside CONTAINS. What is not there is refused, never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import re
from typing import Final


class AqlError(Exception):
    """The query is not understood; the text says where."""


_TOKEN: Final = re.compile(
    r"""\s*(?:--[^\n]*\n\s*)*(?:
        (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<parameter>\$[A-Za-z_]\w*)
      | (?P<word>[A-Za-z][\w.\-]*)
      | (?P<symbol>!=|>=|<=|[=<>\[\](){},/])
    )""",
    re.VERBOSE,
)
_KEYWORDS: Final = frozenset(
    {"SELECT", "DISTINCT", "FROM", "CONTAINS", "WHERE", "AND", "OR", "NOT", "EXISTS", "MATCHES", "LIKE", "ORDER", "BY",
     "ASC", "ASCENDING", "DESC", "DESCENDING", "AS", "LIMIT", "OFFSET", "TRUE", "FALSE", "NULL"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One attribute of a path, with what is asked of it."""

    name: str
    archetype: str | None = None
    conditions: tuple[tuple[tuple["Step", ...], str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A path from a variable of FROM, e.g. `a/data[at0001]/items[at0002]/value/value`."""

    variable: str
    steps: tuple[Step, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """One expression of SELECT."""

    path: Path
    alias: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """One class expression of FROM, each inside the one before."""

    rm_class: str
    variable: str
    predicate: Step


@dataclass(frozen=True, slots=True)
class Condition:
    """A node of WHERE: and, or, not (over `parts`), exists, or a comparison of `path` with `values`."""

    kind: str
    path: Path | None = None
    values: tuple[object, ...] = ()
    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query."""

    columns: tuple[Column, ...]
    sources: tuple[Source, ...]
    where: Condition | None = None
    order: tuple[tuple[Path, bool], ...] = ()
    limit: int | None = None
    offset: int = 0
    distinct: bool = False


@dataclass(slots=True)
class _Parser:
    text: str
    parameters: Mapping[str, object]
    tokens: list[tuple[str, str, int]] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        position = 0
        text = self.text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise AqlError(f"not understood at position {position}: {text[position : position + 20]!r}")
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup)), match.end()))
            position = match.end()

    def peek(self) -> tuple[str, str]:
        kind, text, _ = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "", 0)
        return ("keyword", text.upper()) if kind == "word" and text.upper() in _KEYWORDS else (kind, text)

    def take(self, kind: str, text: str | None = None) -> str:
        found_kind, found = self.peek()
        if found_kind != kind or (text is not None and found != text):
            raise AqlError(f"expected {text or kind}, found {found or 'the end'}")
        self.at += 1
        return found

    def accept(self, kind: str, *texts: str) -> str | None:
        found_kind, found = self.peek()
        if found_kind == kind and found in texts:
            self.at += 1
            return found
        return None

    def value(self) -> object:
        kind, text = self.peek()
        self.at += 1
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "parameter":
            if text[1:] not in self.parameters:
                raise AqlError(f"the parameter {text} has no value in query_parameters")
            return self.parameters[text[1:]]
        if kind == "keyword" and text in ("TRUE", "FALSE", "NULL"):
            return {"TRUE": True, "FALSE": False, "NULL": None}[text]
        raise AqlError(f"expected a value, found {text or 'the end'}")

    def step(self) -> Step:
        name = self.take("word")
        return self.predicate(name) if self.peek() == ("symbol", "[") else Step(name)

    def predicate(self, name: str) -> Step:
        self.take("symbol", "[")
        archetype: str | None = None
        conditions: list[tuple[tuple[Step, ...], str, object]] = []
        if self.accept("symbol", "]"):
            raise AqlError("an empty predicate")
        while True:
            kind, text = self.peek()
            if kind == "parameter":
                archetype = str(self.value())
            elif kind == "word" and (text.startswith(("at", "id", "openEHR-")) and self._ends_node_id()):
                archetype = self.take("word")
            elif kind == "string":
                conditions.append(((Step("name"), Step("value")), "=", self.value()))
            else:
                steps = self.steps()
                operator = self.operator()
                conditions.append((steps, operator, self.value()))
            if self.accept("symbol", "]"):
                return Step(name, archetype, tuple(conditions))
            if not (self.accept("keyword", "AND") or self.accept("symbol", ",")):
                raise AqlError("a predicate goes on with 'and' or ends with ]")

    def _ends_node_id(self) -> bool:
        following = self.tokens[self.at + 1][1] if self.at + 1 < len(self.tokens) else ""
        return following in ("]", ",") or following.upper() == "AND"

    def operator(self) -> str:
        kind, text = self.peek()
        if kind != "symbol" or text not in ("=", "!=", ">", ">=", "<", "<="):
            raise AqlError(f"expected a comparison, found {text or 'the end'}")
        self.at += 1
        return text

    def steps(self) -> tuple[Step, ...]:
        steps = [self.step()]
        while self.accept("symbol", "/"):
            steps.append(self.step())
        return tuple(steps)

    def path(self) -> Path:
        begin = self.tokens[self.at - 1][2] if self.at else 0
        variable = self.take("word")
        steps = self.steps() if self.accept("symbol", "/") else ()
        end = self.tokens[self.at - 1][2]
        written = self.text[begin:end].strip()
        return Path(variable, steps, written.partition("/")[2])

    def query(self) -> Query:
        self.take("keyword", "SELECT")
        distinct = self.accept("keyword", "DISTINCT") is not None
        columns = [self.column()]
        while self.accept("symbol", ","):
            columns.append(self.column())
        self.take("keyword", "FROM")
        sources = [self.source()]
        while self.accept("keyword", "CONTAINS"):
            sources.append(self.source())
        where = self.any_of() if self.accept("keyword", "WHERE") else None
        order = self.order() if self.accept("keyword", "ORDER") else ()
        limit = int(self.take("number")) if self.accept("keyword", "LIMIT") else None
        offset = int(self.take("number")) if self.accept("keyword", "OFFSET") else 0
        if self.peek()[0] != "end":
            raise AqlError(f"not understood after the query: {self.peek()[1]}")
        query = Query(tuple(columns), tuple(sources), where, order, limit, offset, distinct)
        _check_variables(query)
        return query

    def column(self) -> Column:
        path = self.path()
        return Column(path, self.take("word") if self.accept("keyword", "AS") else None)

    def source(self) -> Source:
        rm_class = self.take("word").upper()
        variable = self.take("word") if self.peek()[0] == "word" else ""
        predicate = self.predicate("") if self.peek() == ("symbol", "[") else Step("")
        return Source(rm_class, variable, predicate)

    def order(self) -> tuple[tuple[Path, bool], ...]:
        self.take("keyword", "BY")
        keys: list[tuple[Path, bool]] = []
        while True:
            path = self.path()
            falling = self.accept("keyword", "DESC", "DESCENDING") is not None
            if not falling:
                self.accept("keyword", "ASC", "ASCENDING")
            keys.append((path, falling))
            if not self.accept("symbol", ","):
                return tuple(keys)

    def any_of(self) -> Condition:
        parts = [self.all_of()]
        while self.accept("keyword", "OR"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Condition("or", parts=tuple(parts))

    def all_of(self) -> Condition:
        parts = [self.one()]
        while self.accept("keyword", "AND"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Condition("and", parts=tuple(parts))

    def one(self) -> Condition:
        if self.accept("keyword", "NOT"):
            return Condition("not", parts=(self.one(),))
        if self.accept("symbol", "("):
            inside = self.any_of()
            self.take("symbol", ")")
            return inside
        if self.accept("keyword", "EXISTS"):
            return Condition("exists", self.path())
        path = self.path()
        if self.accept("keyword", "MATCHES"):
            self.take("symbol", "{")
            values = [self.value()]
            while self.accept("symbol", ","):
                values.append(self.value())
            self.take("symbol", "}")
            return Condition("matches", path, tuple(values))
        if self.accept("keyword", "LIKE"):
            return Condition("like", path, (self.value(),))
        operator = self.operator()
        return Condition(operator, path, (self.value(),))


def _check_variables(query: Query) -> None:
    known = {each.variable for each in query.sources}
    if query.sources[0].rm_class != "EHR":
        raise AqlError("FROM begins with EHR")
    paths = [each.path for each in query.columns] + [path for path, _ in query.order]
    stack = [query.where] if query.where else []
    while stack:
        condition = stack.pop()
        stack.extend(condition.parts)
        if condition.path:
            paths.append(condition.path)
    for path in paths:
        if path.variable not in known:
            raise AqlError(f"{path.variable} is not named in FROM")


def parse(text: str, parameters: Mapping[str, object] | None = None) -> Query:
    """The query with its parameters filled in. Raises `AqlError`."""
    return _Parser(text, parameters or {}).query()
