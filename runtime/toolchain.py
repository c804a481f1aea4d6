"""The C++ compiler of this machine: found once, asked for its version, called for one source at a time."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attnc.diagnostics import Diagnostic, Mistake

from .cache import digest, load, locked, path_of, store

_FLAGS = ("-std=c++17", "-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC", "-shared")
_PACKAGED = ("-fno-exceptions", "-fno-sanitize=undefined")  # which it would otherwise need a library for
_HEADERS = Path(__file__).resolve().parent.parent / "codegen" / "cpp"


@dataclass(frozen=True)
class NoCompiler(Mistake):
    """There is no C++ compiler, so nothing can be built."""

    tried: tuple[str, ...]

    def diagnostic(self) -> Diagnostic:
        helps = (
            "install one: 'apt install g++', 'dnf install gcc-c++' or 'xcode-select --install'",
            "or one from PyPI: 'pip install attnc[compiler]'",
            "name one: set ATTNC_CXX to its path",
            "or compute densely, which takes memory for every pair of query and key: 'attnc.allow_reference()'",
        )
        title = "no C++ compiler was found to build the kernel with"
        return Diagnostic("no-compiler", title, (), f"tried {', '.join(self.tried)}", helps)


@dataclass(frozen=True)
class CompilerFailed(Mistake):
    """The compiler refused a generated source: a fault of attnc or of the compiler, never of the spec."""

    compiler: str
    message: str

    def diagnostic(self) -> Diagnostic:
        note = "this is a fault of attnc or of the compiler, not of the spec; please report it"
        first = "\n".join(self.message.strip().splitlines()[:12])
        return Diagnostic("compiler-failed", f"'{self.compiler}' refused a generated kernel", (), note, (first,))


@dataclass(frozen=True)
class Compiler:
    """A compiler and the flags that make kernels for this machine."""

    path: str
    version: str
    flags: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Everything about it and this CPU that a binary depends on."""
        return "\n".join((self.version, *self.flags, cpu_features()))


def named_compilers() -> tuple[str, ...]:
    """What the user asks for: ATTNC_CXX alone, or else CXX before those that are usual."""
    own = os.environ.get("ATTNC_CXX")
    usual = os.environ.get("CXX")
    return (own,) if own else (usual,) if usual else ()


@cache
def compiler() -> Compiler:
    """ATTNC_CXX alone, or else the first of CXX, g++, clang++, c++ and the package ziglang; AttnError where there is
    none."""
    tried = named_compilers() if os.environ.get("ATTNC_CXX") else (*named_compilers(), "g++", "clang++", "c++")
    for name in tried:
        found = _find_compiler(name)
        if found is not None:
            return found
    packaged = None if os.environ.get("ATTNC_CXX") else packaged_compiler()
    if packaged is None:
        raise NoCompiler(tried).error()
    return packaged


def packaged_compiler() -> Compiler | None:
    """Clang as `attnc[compiler]` installs it. As a C compiler that is told of C++ it leaves out the C++ library, which
    kernels do not use and which it would build for minutes."""
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        return None
    return _asked([str(Path(found.origin).parent / "zig"), "cc", "-x", "c++", *_PACKAGED])


def _find_compiler(name: str) -> Compiler | None:
    """A compiler by its path or command, which may have arguments of its own ("ccache g++")."""
    words = [name] if shutil.which(name) else shlex.split(name)
    path = shutil.which(words[0]) if words else None
    if path is None:
        return None
    return _asked([path, *words[1:]])


def _asked(command: list[str]) -> Compiler | None:
    """A compiler with the version that it tells; None where it cannot be run."""
    try:
        told = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace").stdout
    except OSError:
        return None
    return Compiler(command[0], told.split("\n")[0], (*command[1:], *_FLAGS, *_machine_flags()))


def _machine_flags() -> tuple[str, ...]:
    is_apple = platform.machine() in ("arm64", "aarch64") and platform.system() == "Darwin"
    return () if is_apple else ("-march=native",)


@cache
def cpu_features() -> str:
    """What -march=native may have used: a binary must not travel to a lesser CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    except OSError:
        return platform.machine() + platform.processor()


def machine() -> tuple[str, ...]:
    """What a binary was made for, as far as it is known without asking a compiler: a cache serves without one."""
    return cpu_features(), *named_compilers()


@cache
def headers_digest() -> str:
    return digest(*(path.read_bytes() for path in sorted(_HEADERS.glob("*.h"))))


_builds: list[str] = []


def build_count() -> int:
    """How many times this process has called the compiler."""
    return len(_builds)


def build(text: str, extra: tuple[str, ...] = ()) -> Path:
    """A shared library for a C++ text, from the cache or compiled now."""
    code = "\n".join(line for line in text.split("\n") if not line.startswith("//"))
    name = digest(code, headers_digest(), compiler().identity, *extra) + ".so"
    if load(name) is None:
        with locked(name):
            if load(name) is None:
                store(name, _compile(text, extra))
    return path_of(name)


def _compile(text: str, extra: tuple[str, ...]) -> bytes:
    tool = compiler()
    _builds.append(tool.path)
    with tempfile.TemporaryDirectory(prefix="attnc-build-") as folder:
        source, library = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
        source.write_text(text, encoding="utf-8")
        command = [tool.path, *tool.flags, *extra, f"-I{_HEADERS}", str(source), "-o", str(library)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise CompilerFailed(tool.path, str(error)).error() from None
        if done.returncode != 0:
            raise CompilerFailed(tool.path, done.stderr).error()
        return library.read_bytes()
