"""Which comment goes where when a file is printed anew, in the order in which they were written."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from attnc.diagnostics import Span

from .tree import Comment

_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass
class Unit:
    """What is printed without interruption: a docstring, a header, a clause, an item of one piece.

    `span` is where it stood; `gap` says that a blank line goes before it (and before its comments).
    """

    lines: list[str]
    span: Span
    gap: bool = False
    before: list[Comment] = field(default_factory=list)
    beside: Comment | None = None


def place(comments: Sequence[Comment], units: Sequence[Unit]) -> list[Comment]:
    """Attach each comment to a unit: beside the one that it stood behind, else before the one that it stood in or
    before. Returns those that follow the last unit."""
    left: list[Comment] = []
    ends = list(accumulate((unit.span.end for unit in units), max))
    limit = len(units)  # nothing may go further back than what followed it
    for comment in reversed(comments):
        at = bisect_right(ends, comment.span.start)  # the first unit that ends after the comment
        is_inside = at < len(units) and units[at].span.start < comment.span.start
        if not comment.own_line and not is_inside and 0 < at <= limit:
            limit = at - 1
            units[limit].beside = comment
        else:
            limit = min(at, limit)
            (left if limit == len(units) else units[limit].before).insert(0, comment)
    return left


def own_lines(comments: Sequence[Comment], following: int | None, keeps_gaps: bool) -> list[str]:
    """Comments on lines of their own before what stood at `following`, with their author's blank lines if wanted."""
    out: list[str] = []
    for number, comment in enumerate(comments):
        out.append(comment.text)
        after = comments[number + 1].span.start if number + 1 < len(comments) else following
        if keeps_gaps and after is not None and _has_gap(comment, after):
            out.append("")
    return out


def _has_gap(comment: Comment, after: int) -> bool:
    """Whether a blank line follows a comment of its own line, and `after` is further on."""
    if not comment.own_line or after < comment.span.end:
        return False
    rest = comment.span.source.text[comment.span.end : after]
    return bool(_BLANK_LINE.match(rest))
