"""Random specs: well-formed texts over what is compiled today, and tensors for their calls.

A text is composed clause by clause. Each choice is one of hypothesis' draws, the simplest first, so that a failing
text shrinks towards causal attention.
"""

import re

import torch
from hypothesis import strategies as st

from attnc.ir.host import evaluate

SMALL = {"B": 2, "H": 4, "G": 2, "M": 6, "N": 9, "D": 4, "E": 3, "R": 2, "S": 5, "T": 7, "C": 3}
ODD = {"B": 2, "H": 2, "G": 1, "M": 37, "N": 53, "D": 8, "E": 6, "R": 4, "S": 5, "T": 11, "C": 3}
LONG = ODD | {"B": 1, "H": 1, "M": 70, "N": 300, "D": 4, "E": 3, "R": 2}
FUNCTIONS = ["tanh", "sigmoid", "relu", "softplus", "silu", "gelu", "sin", "elu", "cos", "erf", "abs", "log_sigmoid"]


class Writer:
    """Composes one spec; what an expression needs is declared as it is written."""

    def __init__(self, draw):
        self.draw = draw
        self.inputs, self.parameters, self.axes, self.lets, self.defines = {}, {}, {}, {}, {}
        self.masks = []
        self.gathers_vectors = True
        self.is_self = self.flip()
        self.rows = "N" if self.is_self else "M"

    # --- choices ---------------------------------------------------------

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def flip(self):
        return self.draw(st.booleans())

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def some(self, options, most):
        return self.draw(st.lists(st.sampled_from(options), unique=True, max_size=most))

    def write(self, *writers):
        """The text of one of these, each a text or what makes one."""
        chosen = self.pick(*range(len(writers)))
        return writers[chosen] if isinstance(writers[chosen], str) else writers[chosen]()

    # --- declarations ---------------------------------------------------------

    def input(self, name, sizes, type=""):
        self.inputs[name] = f"{name}[{sizes}]{type}" if sizes else f"{name}: float"
        return name

    def parameter(self, name, type, default):
        self.parameters.setdefault(name, f"{name}: {type} = {default}")
        return name

    def axis(self, name, size):
        self.axes[name] = size
        return name

    def let(self, name, indices, value):
        """A let of that name, or the one that is there."""
        if name not in self.lets:
            self.lets[name] = f"let {name}{indices} = {value() if callable(value) else value}"
        return name

    # --- numbers ---------------------------------------------------------

    def per_head(self):
        return self.write(
            lambda: self.input("w", "H") + "[h]",
            lambda: self.input("gain", ""),
            lambda: self.input("u", "B, H") + "[b, h]",
            lambda: self.parameter("alpha", "float", 0.7),
        )

    def integer(self):
        return self.write("3", lambda: self.parameter("n", "int", self.number(1, 4)), "2", "5")

    # --- vectors of a query or a key ---------------------------------------------------------

    def position(self, side):
        """An integer expression that reads the long axis of its own side, sometimes outside."""
        return self.write(
            side,
            f"{side} - 1",
            f"{side} + 1",
            f"{side} // 2",
            f"max({side} - 2, 0)",
            f"({side} * 2) % {self.rows if side == 'i' else 'N'}",
            lambda: (
                f"{self.input('there', f'B, {self.rows}' if side == 'i' else 'B, N', ': int')}[{side}]"
                if side == "j" or self.is_self
                else side
            ),
        )

    def tensor(self, side):
        rows = self.rows if side == "i" else "N"
        return self.write(
            "q" if side == "i" else "k",
            lambda: self.input("q2" if side == "i" else "k2", f"B, {'H' if side == 'i' else 'G'}, {rows}, D"),
        )

    def vector(self, side, depth=1):
        name = self.tensor(side)
        plain = f"{name}[{side}]"
        if not depth:
            return plain

        def inner():
            return self.vector(side, depth - 1)

        return self.write(
            plain,
            lambda: f"{name}[{self.position(side)}]",
            lambda: f"rope({inner()}, {side})",
            lambda: f"l2({inner()})",
            lambda: f"{self.pick(*FUNCTIONS)}({inner()})",
            lambda: f"({inner()} + {self.input('a', self.pick('H, D', 'D'))})",
            lambda: f"({inner()} + {'k' if self.is_self else name}[{side}])",
            lambda: f"{inner()} * {self.scalar(side)}",
            lambda: f"({inner()} - {self.vector(side, 0)[:-1]} - 1])",
            lambda: f"{self.input('W', self.pick('D, D', 'H, D, D'))} @ {plain}",
            lambda: f"({inner()} + {self.input('pos_' + side, 'T, D')}[{side} % T])",
            lambda: f"({inner()} + {self.input('pos_' + side, 'T, D')}[min({side}, T - 1)])",
            lambda: self.let("x" + side, f"[{side}]", inner) + f"[{side}]",
            lambda: self.let("y" + side, f"[{side}]", inner) + f"[{self.position(side)}]",
            lambda: f"cat({name}[{side}, 2:], {name}[{side}, :2])",
        )

    # --- numbers of a query, a key, or a pair ---------------------------------------------------------

    def scalar(self, side):
        """A number at a query or a key."""
        rows = self.rows if side == "i" else "N"
        return self.write(
            lambda: self.input("g" + side, f"B, H, {rows}") + f"[{side}]",
            lambda: self.input("f" + side, f"B, {rows}") + f"[{side}]",
            lambda: f"({self.vector(side, 0)} @ {self.input('a', 'H, D')})",
            lambda: f"{self.pick('norm', 'mean', 'sum', 'max', 'min', 'logsumexp')}({self.vector(side, 0)})",
            lambda: f"sigmoid({self.input('g' + side, f'B, H, {rows}')}[{self.position(side)}])",
            lambda: f"{self.vector(side, 0)[:-1]}, {self.pick('0', '1', 'D - 1')}]",
            lambda: f"(1 + {side} % 3)",
            f"cos(0.3 * {side})",
        )

    def offset(self):
        """A position in a table of size T, made from both indices."""
        return self.write(
            "clamp(j - i + 3, 0, T - 1)",
            "abs(i - j) % T",
            "min(abs(i - j), T - 1)",
            "(i + j) // 2 % T",
            "j - i + 3",
            "clamp((j - i) // 2 + 2, 0, T - 1)",
            "(i // 4 + j // 4) % T",
        )

    def dot(self):
        return f"{self.vector('i')} @ {self.vector('j')}"

    def raw_score(self):
        return self.write(
            lambda: f"q[i] @ k[j] / {self.pick('sqrt(D)', 'D', '2.0')}",
            lambda: f"({self.dot()}) / sqrt(D)",
            lambda: f"{self.per_head()} * ({self.dot()})",
            lambda: f"l2({self.vector('i')}) @ l2({self.vector('j')}) * {self.per_head()}",
            lambda: f"-sum[d](({self.first('i')} - {self.first('j')}) ** 2) / D",
            lambda: f"-sum[d](abs({self.first('i')} - {self.first('j')}))",
            lambda: f"-norm({self.vector('i', 0)} - {self.vector('j', 0)})",
            self.additive,
            lambda: f"{self.vector('i', 0)} @ {self.input('W', self.pick('D, D', 'H, D, D'))} @ {self.vector('j', 0)}",
            self.two_parts,
            self.slices,
            self.relative,
            lambda: f"({self.scalar('i')} + {self.scalar('j')})",
            lambda: f"{self.scalar('i')} * {self.scalar('j')}",
            lambda: f"max({self.vector('i', 0)} + {self.vector('j', 0)})",
            lambda: f"logsumexp({self.vector('i', 0)} + {self.vector('j', 0)})",
            self.convolved,
            self.chunked,
        )

    def first(self, side):
        """A vector's entry d."""
        return self.write(
            lambda: f"{self.vector(side, 0)[:-1]}, d]",
            lambda: f"{self.tensor(side)}[{self.position(side)}, d]",
        )

    def table_entry(self, name):
        head = "h, " if self.inputs[name].startswith(name + "[H") else ""
        return f"[{head}{self.offset()}]"

    def additive(self):
        weights = self.input("a", self.pick("H, D", "D"))
        return f"sum[d]({weights}[d] * tanh({self.first('i')} + {self.first('j')}))"

    def relative(self):
        table = self.input("rel", self.pick("T, D", "H, T, D")) + self.table_entry("rel")
        return f"{self.vector('i', 0)} @ ({self.vector('j', 0)} + {table})"

    def two_parts(self):
        q, k = self.input("qr", f"B, H, {self.rows}, R"), self.input("kr", self.pick("B, N, R", "B, G, N, R"))
        self.axis("r", "R")
        right = self.pick(f"sum[r]({q}[i, r] * {k}[j, r])", f"rope({q}[i], i) @ rope({k}[j], j)", f"{q}[i] @ {k}[j]")
        return f"(q[i] @ k[j] + {right}) / sqrt(D + R)"

    def slices(self):
        cut = self.pick("2", "1", "D // 2", "3")
        return self.pick(
            f"q[i, :{cut}] @ k[j, :{cut}]",
            f"q[i, {cut}:] @ k[j, {cut}:]",
            f"(q[i, :{cut}] @ k[j, :{cut}] - q[i, {cut}:] @ k[j, {cut}:])",
        )

    def convolved(self):
        self.axis("t", "3")
        self.input("wt", self.pick("H, 3", "3"))
        shift = self.pick("j - t", "j + t - 1", "j - 2 * t")
        return self.pick(
            f"q[i] @ sum[t](wt[t] * k[{shift}])",
            f"sum[t](wt[t] * (q[i] @ k[{shift}]))",
            f"sum[t](wt[t] * tanh(q[i] @ k[{shift}]))",
        )

    def chunked(self):
        self.axis("c", "ceildiv(N, 4)")
        self.let("mk", "[c]", lambda: f"{self.pick('mean', 'sum')}[j: j // 4 == c](k[j])")
        return self.pick(
            "q[i] @ (k[j] + mk[j // 4]) / sqrt(D)", "q[i] @ mk[j // 4]", "(q[i] @ k[j] - q[i] @ mk[j // 4]) / D"
        )

    def pair(self):
        """A number of a pair that is added to a score or multiplies it."""
        return self.write(
            lambda: self.input("bias", "H, " + self.rows + ", N") + "[h, i, j]",
            lambda: self.input("bias4", "B, H, " + self.rows + ", N") + "[i, j]",
            lambda: self.input("flat", self.rows + ", N") + "[i, j]",
            lambda: self.input("table", self.pick("H, T", "T")) + self.table_entry("table"),
            lambda: f"{self.per_head()} * (i - j) / 8",
            lambda: f"log1p(abs(i - j)) * {self.per_head()}",
            lambda: f"{self.scalar('i')} * {self.scalar('j')}",
            lambda: self.scalar("j"),
            lambda: self.scalar("i"),
            lambda: f"({self.per_head()} if {self.condition()} else {self.per_head()})",
            lambda: f"(1 if {self.condition()} else 0)",
            lambda: self.input("bias", "H, " + self.rows + ", N") + f"[h, {self.position('i')}, {self.position('j')}]",
            lambda: self.raw_score(),
        )

    def changed(self, x):
        """A score after something pointwise."""
        return self.write(
            x,
            lambda: f"{x} + {self.pair()}",
            lambda: f"softcap({x}, {self.write('3.0', lambda: self.parameter('cap', 'float', '2.0'))})",
            lambda: f"({x}) * sigmoid({self.pair()})",
            lambda: f"{self.pick(*FUNCTIONS)}({x})",
            lambda: f"max({x}, {self.per_head()})",
            lambda: f"clamp({x}, -1.0, 1.5)",
            lambda: f"({x} if {self.condition()} else {self.per_head()} * ({self.raw_score()}))",
            lambda: f"({x}) ** 2",
            lambda: f"log1p(({x}) ** 2)",
            lambda: f"logaddexp({x}, {self.pair()})",
            lambda: f"({x}) / (1 + abs({self.pair()}))",
            lambda: f"min({x}, {self.pair()})",
            lambda: f"({x}) * ({self.pair()})",
        )

    def score(self):
        x = self.raw_score()
        for _ in range(self.pick(0, 1, 1, 2)):
            x = self.changed(x)
        return x

    # --- conditions ---------------------------------------------------------

    def condition(self, depth=1):
        if depth and self.pick(0, 0, 1):
            left, right = self.condition(depth - 1), self.condition(depth - 1)
            return self.pick(
                f"({left} and {right})", f"({left} or {right})", f"not ({left})", f"({left} and not ({right}))"
            )
        n = self.integer
        atoms = [
            "j <= i",
            lambda: f"j <= i + {n()}",
            lambda: f"abs(i - j) <= {n()}",
            lambda: f"i - j < {n()}",
            lambda: f"(i - j) % {n()} == 0",
            lambda: f"i // {n()} == j // {self.pick('3', '2')}",
            lambda: f"j {self.pick('<', '>=')} {self.input('length', 'B', ': int')}{self.pick('', '[b]')}",
            lambda: f"i < {self.input('length', 'B', ': int')}",
            lambda: f"{self.input('doc', 'B, N', ': int')}[j] != {n()}",
            lambda: f"{self.input('valid', 'B, N', ': bool')}[j]",
            lambda: f"{self.input('keep', 'H, S, S', ': bool')}[h, i % S, j % S]",
            lambda: self.input("given", self.pick("", "B, ") + self.rows + ", N", ": bool") + "[i, j]",
            lambda: f"i - j <= {self.input('width', 'H', ': int')}[h]",
            lambda: f"j in ({self.number(0, 3)}, {self.number(4, 7)})",
            lambda: f"2 * i + 1 >= 3 * j - {n()}",
            lambda: "causal(i, j)",
            lambda: f"q[i, 0] {self.pick('>', '<=')} k[j, 1]",
            lambda: f"i % {n()} {self.pick('==', '!=')} 0",
        ]
        if self.is_self:
            atoms.append(lambda: f"{self.input('doc', 'B, N', ': int')}[i] == doc[j]")
            atoms.append(lambda: f"{self.input('doc', 'B, N', ': int')}[i] >= doc[j]")
        return self.write(*atoms)

    # --- normalizations ---------------------------------------------------------

    def normalized(self, s, depth=1):
        def inner():
            return self.normalized(s, depth - 1) if depth else f"softmax[j]({s})"

        return self.write(
            f"softmax[j]({s})",
            lambda: f"softmax1[j]({s})",
            lambda: f"sink_softmax[j]({s}, {self.per_head()})",
            lambda: f"{self.pick('sigmoid', 'relu', 'tanh')}({s} + {self.per_head()}) / N",
            lambda: f"relu({s}) ** 2 / N",
            lambda: f"signed_softmax[j]({s})",
            lambda: f"l1[j]({s})",
            lambda: f"l2[j]({s})",
            lambda: f"standardize[j]({s})",
            lambda: f"softmax[i]({s})",
            lambda: f"softmax[j]({s}) * softmax[i]({s})",
            lambda: f"weighted_softmax[j]({s}, {self.pick('sigmoid', 'softplus')}({self.pair()}))",
            lambda: f"softmax[j]({s}) - {self.per_head()} * softmax[j]({self.raw_score()})",
            lambda: f"{inner()} * {self.pick('sigmoid', 'tanh')}({self.pair()})",
            lambda: f"({inner()} + {inner()}) / 2",
            lambda: f"exp({s} - logsumexp[j]({s}))",
            lambda: f"exp({s}) / sum[j](exp({s}))",
            lambda: f"exp({s}) / (exp({self.per_head()}) + sum[j](exp({s})))",
            lambda: f"softmax[j]({s} - mean[j]({s}))",
            lambda: f"softmax[j: {self.condition(0)}]({s})",
            lambda: f"softmax[j](standardize[j]({s}))",
            lambda: f"softmax[j](({s}) * {self.row_statistic(s)})",
            lambda: f"relu({s} - {self.row_statistic(s)}) / N",
            lambda: f"l1[j](relu({s} - mean[j]({s})))",
            lambda: f"softmax[j]({s} / (1 + softplus({self.scalar('i')})))",
            lambda: f"{self.own_define()}({s})",
            lambda: f"(softmax[j]({s}) if {self.condition(0)} else {inner()})",
            lambda: f"({s}) / N",
            lambda: f"sqrt(softmax[j]({s}) * softmax[i]({s}))",
            lambda: f"softmax[j]({s} + log(1 + softmax[i]({s})))",
            lambda: f"l1[j](softmax[j]({s}) ** 2)",
            lambda: f"l1[j](softmax[i]({s}))",
            lambda: f"softmax[i, j]({s})",
            lambda: f"{self.pick('sparsemax', 'entmax15')}[j]({s})",
            lambda: f"{self.pick('sparsemax', 'entmax15')}[i]({s})",
            lambda: f"dropout({inner()}, uniform[b, h, i, j]({self.number(0, 3)}), 0.25)",
            lambda: f"clipped_softmax[j]({s}, -0.05, 1.05)",
        )

    def own_define(self):
        x = self.pick("f", "mix")
        if x in self.defines:
            return x + "[j]"
        body = self.write(
            "e / sum[j](e) with m = max[j](x), e = exp(x - m)",
            "e / (1 + sum[j](e)) with e = relu(x)",
            "e / sum[j](e) with m = max[j](x), e = exp2(x - m)",
            "e / sqrt(1 + sum[j](e * e)) with e = x - mean[j](x)",
            "a * softmax[j](x) + (1 - a) * r / (1 + sum[j](r)) with r = relu(x), a = 0.3",
            "e / sum[j](e) with e = 1 / (1 + (x - max[j](x)) ** 2)",
            "e / sum[j](e) with m = max[j](x), e = (1 + (m - x)) ** -2",
            "(x - lo) / (1 + hi - lo) with lo = min[j](x), hi = max[j](x)",
            "exp(x - m - log(sum[j](exp(x - m)))) with m = mean[j](x)",
            "e / sum[j](e) ** 0.5 with e = sigmoid(x)",
            "x * softmax[j](x) - softmax[j](x) * sum[j](x * softmax[j](x))",
            "e / (e + sum[j](e)) with e = exp(x - max[j](x))",
            "(x - x) + e / (0.1 + max[j](e)) with e = softplus(x)",
        )
        self.defines[x] = f"define {x}[j](x) = {body}"
        return x + "[j]"

    def row_statistic(self, s, of_pairs=True):
        """A number at a query; of pairs, sometimes that of the key's own position."""
        bare = self.pick("mean", "max", "logsumexp", "sum_tanh", "std", "min", "count")
        text = {
            "sum_tanh": f"sum[j](tanh({s})) / N",
            "std": f"sqrt(1 + var[j]({s}))",
            "count": f"sum[j: {self.condition(0)}](1) / N" if bare == "count" else "",
        }.get(bare, f"{bare}[j]({s})")
        if bare in ("max", "min", "logsumexp"):  # of nothing at all these are infinite
            text = f"tanh({text})"
        if self.flip():
            return f"({text})"
        name = self.let("row", "[i]", text)
        return self.pick(
            f"{name}[i]", f"{name}[i - 1]", f"{name}[i // 2]", *([f"{name}[j]"] if of_pairs and self.is_self else [])
        )

    # --- what the weights gather ---------------------------------------------------------

    def values(self):
        return self.write(
            "v[j]",
            lambda: f"(v[j] + {self.input('rv', self.pick('T, E', 'H, T, E'))}{self.table_entry('rv')})",
            lambda: f"v[{self.position('j')}]",
            lambda: f"{self.pick(*FUNCTIONS)}(v[j])",
            lambda: f"v[j] * {self.scalar('j')}",
            lambda: "(v[j] - v[j - 1])",
            lambda: f"v[j] * {self.pair()}",
            lambda: f"{self.input('V', self.pick('E, E', 'H, E, E'))} @ v[j]",
            lambda: f"(v[j] + {self.input('pe', 'T, E')}[j % T])",
            lambda: "l2(v[j])",
            self.a_number,
            lambda: f"{self.input('v2', 'B, G, N, C')}[j]",
        )

    def a_number(self):
        self.gathers_vectors = False
        return self.scalar("j")

    def aggregate(self, p, s):
        gathered = f"sum[j]({p} * {self.values()})"
        return self.write(
            gathered,
            lambda: f"{gathered} * sigmoid({self.scalar('i')})",
            lambda: f"{gathered} / (1 + sum[j](abs({p})))",
            lambda: f"l2({gathered})" if gathered.count("v[j]") and "V" not in self.inputs else gathered,
            lambda: f"{gathered} - {self.per_head()} * mean[j](v[j])" if "* v[j])" in gathered else gathered,
            lambda: f"sum[j: {self.condition(0)}]({p} * v[j])",
            lambda: f"sum[j]({p} * v[j]) + sum[j]({p} ** 2 * {self.scalar('j')})",
            lambda: f"sum[j]({p} * v[j]) * {self.row_statistic(s, False)}",
            lambda: f"max[j]({p} * v[j])" if self.masks == [] else gathered,
            self.second_stage if self.is_self else gathered,
            self.shifted_stage,
            self.agents,
            self.column_gated,
        )

    def second_stage(self):
        self.let("first", "[i]", "sum[j](p * v[j])")
        return self.pick(
            "sum[j](softmax[j](first[i] @ first[j]) * v[j])",
            "first[i] - sum[j](p * first[j])",
            "sum[j](p * first[j])",
            "sum[j](softmax[j](s + first[j] @ first[i - 1] / E) * first[j])",
        )

    def shifted_stage(self):
        self.let("first", "[i]", "sum[j](p * v[j])")
        return self.pick(
            "first[i] - first[i - 1]",
            "first[i] + first[i // 2]",
            f"first[({self.rows} - 1) - i]",
            "first[i] * sigmoid(first[max(i - 1, 0)])",
        )

    def agents(self):
        self.input("agent", "B, H, S, D")
        self.axis("z", "S")
        self.let("seen", "[z]", "sum[j](softmax[j](agent[z] @ k[j] / sqrt(D)) * v[j])")
        return self.pick(
            "sum[z](softmax[z](q[i] @ agent[z] / sqrt(D)) * seen[z])",
            "sum[j](p * v[j]) + sum[z](softmax[z](q[i] @ agent[z]) * seen[z])",
        )

    def column_gated(self):
        self.let("col", "[j]", self.pick("sum[i](p)", "sum[i](p * q[i, 0])", "mean[i](abs(p))", "sum[i](tanh(s))"))
        return self.pick(
            "sum[j](p * col[j] * v[j])", "sum[j](p * v[j] / (1 + abs(col[j])))", "sum[j](p * sigmoid(col[j]) * v[j])"
        )

    def outputs(self):
        options = [
            "p",
            "lse = logsumexp[j](s)",
            "top[i] = max[j](s)",
            "entropy[i] = -sum[j](xlogy(abs(p), abs(p)))",
            "received[j] = sum[i](p)",
            "total[i] = sum[j](p)",
            "s",
            "seen_by[j] = sum[i](p * q[i])",
            "rows[i] = sum[j](p * (i - j))",
            "kept[i] = count[j](True)",
            "best[i] = max[j](p)",
            "energy = sum[i, j](p * s)",
            "before[i, j] = s[i - 1, j]",
            "moved[i, j] = p[i, j - 1]",
            "spread[i] = var[j](s)",
            "low[j] = min[i](s)",
            "spectrum[d] = sum[i](q[i, d] * cos(0.1 * i))",
            *(["half[i] = out[i, :2]"] if self.gathers_vectors else []),
        ]
        chosen = self.some(options, 3)
        if not chosen:
            return ""
        return "output " + ", ".join(["out"] * (not self.pick(0, 0, 0, 1)) + chosen)

    # --- the whole ---------------------------------------------------------

    def spec(self):
        masks = [f"mask {self.condition(2)}" for _ in range(self.pick(0, 1, 1, 1, 2))]
        self.masks = masks
        score = f"score s[i, j] = {self.score()}"
        outer = list(self.lets.values())
        self.outer = set(self.lets)
        normalize = f"normalize p[i, j] = {self.normalized('s')}"
        aggregate = f"aggregate out[i] = {self.aggregate('p', 's')}"
        outputs = self.outputs()
        lets = [text for name, text in self.lets.items() if name not in self.outer]
        if self.flip():
            clauses = [*masks, *outer, score, normalize, *lets, aggregate, outputs]
        else:
            clauses = [*outer, score, *masks, normalize, *lets, aggregate, outputs]
        return self.file([c for c in clauses if c])

    def file(self, clauses):
        """The text, with the declarations that something reads."""
        words = set(re.findall(r"\w+", " ".join([*clauses, *self.axes.values(), *self.inputs.values()])))

        def used(declared):
            return [text for name, text in declared.items() if name in words]

        axes = [f"{name}: {size}" for name, size in self.axes.items() if name in words]
        inputs = [text for name, text in self.inputs.items() if name in set(re.findall(r"\w+", " ".join(clauses)))]
        parameters = f"({', '.join(used(self.parameters))})" if used(self.parameters) else ""
        lines = [*used(self.defines), f"attention a{parameters}"]
        lines += ["input " + ", ".join(inputs)] if inputs else []
        axes = ["i, j: N"] * self.is_self + axes
        lines += ["axis " + ", ".join(axes)] if axes else []
        return "\n".join([*lines, *clauses]) + "\n"


@st.composite
def specs(draw):
    """The text of a random attention 'a'."""
    return Writer(draw).spec()


def draw_tensors(card, sizes, dtype=torch.float32, seed=0):
    """Tensors for a call; integers reach past the ends of what they are positions in."""
    random = torch.Generator().manual_seed(seed)
    known = sizes | {p.name: p.default for p in card.parameters}
    _rows, keys = sizes["M"], sizes["N"]
    highest = {"length": keys + 2, "there": keys + 1, "doc": 4, "width": 6}
    tensors = []
    for item in card.inputs:
        shape = [int(evaluate(size, known)) for size in item.sizes]
        if item.type == "float":
            tensors.append(torch.randn(shape, generator=random).to(dtype).requires_grad_())
        elif item.type == "int":
            lowest = -1 if item.name == "there" else 0
            found = torch.randint(lowest, highest.get(item.name, 5), shape, generator=random)
            tensors.append(found.sort(-1).values if item.name == "doc" else found)
        else:
            tensors.append(torch.rand(shape, generator=random) > 0.4)
    return tensors
