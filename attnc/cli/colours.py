"""Colours for people: messages and headings, styled for a terminal. `click.echo` takes them out where there is none."""

from __future__ import annotations

import os
import re

import click

_TITLE = re.compile(r"(error\[[\w-]+\])(: .*)")
_REMARK = re.compile(r"( *= )(help|note)(: .*)")
_MARKED = re.compile(r"( *\| *)(\^+|-+)( .*)?")
_NUMBERED = re.compile(r"( *\d* \|)(.*)")


def painted(message: str) -> str:
    """A rendered mistake with its title, marks and helps in colour; unchanged where NO_COLOR is set."""
    return message if os.environ.get("NO_COLOR") else "\n".join(map(_line, message.split("\n")))


def heading(text: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, bold=True)


def remark(text: str, colour: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def difference(line: str) -> str:
    """A line of a unified difference."""
    if line.startswith(("---", "+++")):
        return heading(line)
    colour = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1])
    return remark(line, colour) if colour else line


def _line(line: str) -> str:
    if found := _TITLE.fullmatch(line):
        return click.style(found[1], fg="red", bold=True) + click.style(found[2], bold=True)
    if found := _REMARK.fullmatch(line):
        colour = "green" if found[2] == "help" else "cyan"
        return click.style(found[1], fg="blue") + click.style(found[2], fg=colour, bold=True) + found[3]
    if found := _MARKED.fullmatch(line):
        colour = "red" if found[2].startswith("^") else "blue"
        mark = click.style(found[2] + (found[3] or ""), fg=colour, bold=True)
        return click.style(found[1], fg="blue") + mark
    if found := _NUMBERED.fullmatch(line):
        return click.style(found[1], fg="blue") + found[2]
    return line
