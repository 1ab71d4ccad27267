# SPDX-FileCopyrightText: 2026 The ndi authors
# SPDX-License-Identifier: EUPL-1.2
"""The live table of steps, and the same as data."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from demo.scenario.stage import Step

_STYLES = {"ok": "green", "failed": "bold red", "…": "yellow"}
_COLUMNS: Final[tuple[tuple[str, JustifyMethod], ...]] = (
    ("step", "right"), ("what", "left"), ("between", "left"), ("protocol", "left"), ("status", "left"), ("ms", "right"),
)  # fmt: skip


class Board:
    """Shows the steps while they are played."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.steps: list[Step] = []
        self._saying = ""
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._rendered)

    def __enter__(self) -> "Board":
        self._live.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self._saying = ""
        self._live.__exit__(*what)

    def say(self, text: str) -> None:
        """What is going on outside the steps."""
        self._saying = text
        if not self._console.is_terminal:
            self._console.print(f"{text} …")

    def step(self, number: int, title: str) -> Step:
        """A new step."""
        self._saying = ""
        self.steps.append(Step(number, title))
        return self.steps[-1]

    def _rendered(self) -> RenderableType:
        return Group(*self._parts())

    def _parts(self) -> Sequence[RenderableType]:
        parts: list[RenderableType] = []
        if self.steps:
            parts.append(self._table())
        if self._saying:
            parts.append(Spinner("dots", text=self._saying))
        return parts

    def _table(self) -> Table:
        table = Table(expand=False, row_styles=["none"])
        for name, justify in _COLUMNS:
            table.add_column(name, justify=justify)
        for step in self.steps:
            table.add_row(str(step.number), f"[bold]{step.title}[/bold]", "", "", "", "")
            for line in step.lines:
                style = _STYLES[line.status]
                spent = "" if line.milliseconds is None else f"{line.milliseconds:,}"
                table.add_row("", line.what, line.between, line.protocol, f"[{style}]{line.status}[/{style}]", spent)
            table.add_section()
        return table


def as_data(steps: Sequence[Step], *, seconds: float, ready_seconds: float, error: str | None) -> dict[str, Any]:
    """The steps with their figures; times in milliseconds where they say so."""
    return {
        "ok": error is None and all(each.ok for each in steps),
        "seconds": round(seconds, 2),
        "readyAfterSeconds": round(ready_seconds, 2),
        "error": error,
        "steps": [
            {
                "step": step.number,
                "title": step.title,
                "status": "ok" if step.ok else "failed",
                "ms": step.milliseconds,
                "exchanges": [
                    {
                        "what": line.what,
                        "between": line.between,
                        "protocol": line.protocol,
                        "status": line.status,
                        "ms": line.milliseconds,
                        **({"facts": line.facts} if line.facts else {}),
                        **({"error": line.error} if line.error else {}),
                    }
                    for line in step.lines
                ],
            }
            for step in steps
        ],
    }
