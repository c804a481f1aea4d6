"""`attnc catalogue [ID] --needs … --family … --status … --verify`: mechanisms of the literature that are specs."""

from __future__ import annotations

import difflib

import click

from ..diagnostics import Diagnostic
from ..diagnostics.diagnostic import AttnError
from ..rows import DONE, FAMILIES, STATUSES, CatalogueRow, catalogue
from .colours import heading
from .verify import verify_files


@click.command(name="catalogue", short_help="Attentions of the literature, as specs.")
@click.argument("id", required=False)
@click.option("--needs", multiple=True, metavar="TAG", help="Only rows that need this (several: all of them).")
@click.option("--family", type=click.Choice(FAMILIES), metavar="NAME", help="Only rows of this family.")
@click.option("--status", type=click.Choice(STATUSES), help="Only rows that are done, left out or open.")
@click.option("--level", type=click.Choice(["easy", "medium", "hard", "out"]), help="Only rows of this level.")
@click.option("--verify", is_flag=True, help="Compare kernels of the row, or of all that fit, with their meaning.")
@click.option("--examples", type=click.IntRange(1), default=10, show_default=True, help="How many calls to draw.")
def show_catalogue(
    id: str | None,
    needs: tuple[str, ...],
    family: str | None,
    status: str | None,
    level: str | None,
    verify: bool,
    examples: int,
) -> None:
    """List the rows of the catalogue, or print one with its spec.

    A spec printed by itself is a file: attnc catalogue ID > mine.attn
    """
    wanted = {"family": family, "status": status, "level": level}
    if id is not None:
        if needs or any(wanted.values()):
            raise AttnError([Diagnostic("bad-option", f"'{id}' is one row: it is not filtered")])
        chosen = [_named(id)]
    else:
        _check_tags(needs)
        chosen = [row for row in catalogue() if _fits(row, needs, wanted)]
    if verify:
        _verify(chosen, examples)
    elif id is not None:
        _print(chosen[0])
    else:
        _list(chosen)


def _verify(rows: list[CatalogueRow], examples: int) -> None:
    specs = [row.path for row in rows if row.status == DONE]
    if not specs:
        title = f"'{rows[0].id}' is not a spec yet" if len(rows) == 1 else "none of the rows that fit is a spec"
        raise AttnError([Diagnostic("no-specs", title, (), rows[0].missing if len(rows) == 1 else None)])
    verify_files(specs, examples)


def _named(id: str) -> CatalogueRow:
    known = {row.id: row for row in catalogue()}
    if id not in known:
        close = difflib.get_close_matches(id, known, 3, 0.5) or [name for name in known if id in name][:3]
        helps = tuple(f"did you mean '{name}'?" for name in close)
        raise AttnError([Diagnostic("unknown-row", f"the catalogue has no row '{id}'", (), None, helps)])
    return known[id]


def _check_tags(needs: tuple[str, ...]) -> None:
    known = {tag for row in catalogue() for tag in row.needs}
    for tag in needs:
        if tag not in known:
            helps = tuple(f"did you mean '{name}'?" for name in difflib.get_close_matches(tag, known))
            raise AttnError([Diagnostic("bad-option", f"no row needs '{tag}'", (), None, helps)])


def _fits(row: CatalogueRow, needs: tuple[str, ...], wanted: dict[str, str | None]) -> bool:
    return set(needs) <= set(row.needs) and all(getattr(row, k) == v for k, v in wanted.items() if v is not None)


def _print(row: CatalogueRow) -> None:
    """The spec to standard output, what is known of the row to standard error."""
    click.echo(heading(f"{row.id}: {row.name} ({row.kind}, {row.level}, {row.family}, {row.status})"), err=True)
    click.echo(f"  {row.computes}\n  {row.formula}\n  from: {row.paper}", err=True)
    if row.status == DONE:
        click.echo(row.path.read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(f"  not a spec yet: {row.missing}", err=True)


def _list(rows: list[CatalogueRow]) -> None:
    width = max((len(row.id) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row.id:{width}}  {row.level:6}  {row.status:8}  {row.family:16}  {row.name}")
    done = sum(row.status == DONE for row in rows)
    click.echo(heading(f"{len(rows)} rows, {done} of them specs"), err=True)
