"""`python -m demo --out FOLDER`: a transformer trained with attention from a spec and with torch's, side by side."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

import attnc

from . import memory
from .benchmark import run_benchmark
from .pictures import draw_losses, draw_masks
from .settings import COMPARED, FULL, QUICK, TOLERANCE, Settings
from .tables import benchmark_table, cost_table, loss_table, tile_table
from .text import Corpus, decode, draw, encode, read_corpus
from .tiles import FULL as FULL_TILE
from .tiles import PARTIAL as PARTIAL_TILE
from .tiles import counted_tiles, forward_tiles, window_mask
from .training import EXAMPLES, Batch, Run, load_example, mean_loss, sdpa, start_run, train, train_on, windowed

SDPA, CAUSAL, SLIDING = "torch SDPA", "causal.attn", "sliding.attn"
_PROMPT = "def "


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="demo_out", show_default=True)
@click.option("--quick", is_flag=True, help="Tiny sizes: every part, in some seconds.")
@click.option("--threads", type=click.IntRange(1), help="Threads of torch and kernels; torch's choice otherwise.")
def main(out: Path, quick: bool, threads: int | None) -> None:
    """Train a small character model with attention from examples/causal.attn and with torch's SDPA, from one seed."""
    if threads:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 110
    demo = Demo(QUICK if quick else FULL, out, console)
    start = time.perf_counter()
    agree = demo.run()
    demo.console.print(f"\n{time.perf_counter() - start:.0f} s in all; pictures in {out}: losses.png, mask.png")
    if not agree:
        sys.exit(1)


class Demo:
    """The demo's parts, in the order in which they are shown."""

    def __init__(self, settings: Settings, out: Path, console: Console) -> None:
        self.settings = settings
        self.out = out
        self.console = console
        self.generator = torch.Generator().manual_seed(1)

    def run(self) -> bool:
        """Everything; whether the losses agree. If they do not, it stops there."""
        corpus = self.begin()
        self.compile()
        theirs, ours = (start_run(name, self.settings.shape, a) for name, a in self.attentions().items())
        agree = self.compare(theirs, ours, corpus)
        if not agree:
            draw_losses(self.out / "losses.png", theirs.losses, ours.losses, [])
            return False
        self.sample(f"A sample of the model with {CAUSAL}", ours)
        later = self.go_on(ours, corpus)
        draw_losses(self.out / "losses.png", theirs.losses, ours.losses, later.losses)
        self.sample(f"A sample after training on with {SLIDING}", later)
        self.cost([theirs, ours, later])
        self.explain()
        agree = self.masks()
        self.benchmark()
        return agree

    def attentions(self) -> dict[str, Callable[..., torch.Tensor]]:
        return {SDPA: sdpa, CAUSAL: load_example("causal")}

    # --- training ----------------------------------------------------------------------------------------------

    def begin(self) -> Corpus:
        versions = f"attnc {attnc.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
        self.console.print(f"{versions}, {torch.get_num_threads()} threads")
        corpus = read_corpus(self.settings.characters)
        print_ = f"{corpus.size:,} characters of {corpus.files} source files of Python's standard library"
        shape = self.settings.shape
        size = f"{shape.layers} blocks of {shape.heads} heads of {shape.head_width}"
        batch = f"batches of {shape.batch} × {shape.length} characters"
        self.console.print(f"text   {print_}\nmodel  {size}, {batch}, from the same seed in every run")
        return corpus

    def compile(self) -> None:
        """Shows the spec, and makes its kernels before anything is timed."""
        for name in (CAUSAL, SLIDING):
            self.framed((EXAMPLES / name).read_text().strip(), f"examples/{name}")
        inputs = [torch.zeros(1, 1, 8, self.settings.shape.head_width, requires_grad=True) for _ in range(3)]
        for name, attend in ((CAUSAL, load_example("causal")), (SLIDING, windowed(4))):
            start = time.perf_counter()
            attend(*inputs).sum().backward()
            took = time.perf_counter() - start
            self.console.print(f"{name}: kernels for forward and backward ready after {took:.1f} s")

    def compare(self, theirs: Run, ours: Run, corpus: Corpus) -> bool:
        """Trains both on the same batches and says whether their losses agree."""
        batches = self.batches(corpus.train, self.settings.steps)
        self.watch("training both, in turns", len(batches), lambda report: train((theirs, ours), batches, report), ours)
        self.console.print(loss_table(theirs.losses, ours.losses))
        apart = [abs(a - b) for a, b in zip(theirs.losses, ours.losses)]
        worst = max(apart[:COMPARED])
        agree = worst <= TOLERANCE  # not so if it is NaN
        word = "agree" if agree else "[bold red]DO NOT AGREE[/]"
        self.console.print(
            f"The losses {word}: over the first {COMPARED} steps they differ by {worst:.1e} at most"
            f" (allowed: {TOLERANCE:g}), over all {len(apart)} by {max(apart):.1e}."
        )
        return agree

    def go_on(self, ours: Run, corpus: Corpus) -> Run:
        """Trains the same weights on with the sliding window."""
        settings = self.settings
        ours.model.attend, before = windowed(settings.window), ours.model.attend
        later = Run(f"{SLIDING}, window {settings.window}", ours.model, ours.optimizer)
        batches = self.batches(corpus.train, settings.window_steps)
        self.watch(f"training on with {SLIDING}", len(batches), lambda report: train_on(later, batches, report), later)
        held_out = self.batches(corpus.held_out, 4)
        with_window = mean_loss(later.model, held_out)
        ours.model.attend, window = before, ours.model.attend
        without = mean_loss(later.model, held_out)
        ours.model.attend = window
        self.console.print(
            f"Loss on text never trained on, after {settings.steps + settings.window_steps} steps:"
            f" {with_window:.3f} with the window of {settings.window}, {without:.3f} with all positions."
        )
        return later

    def batches(self, text: torch.Tensor, count: int) -> Sequence[Batch]:
        shape = self.settings.shape
        return [draw(text, shape.batch, shape.length, self.generator) for _ in range(count)]

    def watch(self, what: str, count: int, act: Callable[[Callable[[int], None]], None], run: Run) -> None:
        """A bar on a terminal; a line every quarter elsewhere."""
        if not self.console.is_terminal:
            act(lambda n: self.mark(f"{what}: step {n} of {count}, loss {run.losses[-1]:.3f}", n, count))
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}"), console=self.console) as progress:
            task = progress.add_task(what, total=count, loss=float("nan"))
            act(lambda n: progress.update(task, completed=n, loss=run.losses[-1]))

    def mark(self, line: str, number: int, count: int) -> None:
        if number in {count * n // 4 for n in range(1, 5)}:
            self.console.print(line)

    def sample(self, title: str, run: Run) -> None:
        numbers = run.model.continue_text(encode(_PROMPT), self.settings.sample, temperature=0.7, seed=0)
        self.framed(decode(numbers), title)

    def framed(self, text: str, title: str) -> None:
        self.console.print(Panel(Text(text), title=title, title_align="left"))

    # --- what it costs, and why --------------------------------------------------------------------------------

    def cost(self, runs: Sequence[Run]) -> None:
        names = dict(zip((run.name for run in runs), ("sdpa", "causal", "sliding")))
        found = memory.measure(list(names.values()), self.settings.shape, torch.get_num_threads())
        grown = {name: found[short] for name, short in names.items()}
        self.console.print(cost_table(runs, grown))
        self.console.print("Memory is what a fresh process grows by in three steps: activations, gradients, optimizer.")

    def explain(self) -> None:
        length, window = self.settings.bench_length, self.settings.bench_window
        q, k, v = (torch.empty(1, 8, length, 64) for _ in range(3))
        text = load_example("sliding").explain(q, k, v, window=window)
        self.console.print(f"\n[bold]attnc explain examples/{SLIDING} --shape N={length} --set window={window}[/]")
        self.console.print(text, markup=False, soft_wrap=True)

    def masks(self) -> bool:
        """Draws both masks with the compiler's classes of tiles; whether the masks themselves and the kernels' own
        counts agree with these."""
        length, window = self.settings.mask_length, self.settings.mask_window
        shown, rows = [], []
        for name, given, title in (
            ("causal", {}, CAUSAL),
            ("sliding", {"window": window, "cap": 50.0}, f"{SLIDING}, window {window}"),
        ):
            attention, mask = load_example(name), window_mask(length, int(given.get("window", length)))
            tiles = forward_tiles(attention, length, 64, **given)
            shown.append((title, tiles, mask))
            rows.append((title, tiles, counted_tiles(attention, length, 64, **given), tiles.mistakes(mask)))
        draw_masks(self.out / "mask.png", shown)
        self.console.print(tile_table(rows))
        good = all(
            visited == (tiles.count(FULL_TILE), tiles.count(PARTIAL_TILE)) and not wrong
            for _, tiles, visited, wrong in rows
        )
        if not good:
            self.console.print("[bold red]The classes of the tiles are NOT what the masks and the kernels say.[/]")
        return good

    def benchmark(self) -> None:
        settings = self.settings
        times = run_benchmark(settings.bench_length, settings.bench_window, settings.bench_rounds)
        self.console.print(benchmark_table(times, settings.bench_length, settings.bench_window))


if __name__ == "__main__":
    main()
