"""Compiles the drivers beside this file, once a session, for each instruction set that this machine can run."""

import ctypes
import os
import platform
import shutil
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HEADERS = HERE.parent.parent / "codegen" / "cpp"
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC", "-shared"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-psabi"]
DRIVERS = ["storage", "tiles", "narrow", "math", "vector", "pool"]

# The x86 flags that each fallback needs; "native" is whatever this machine is.
# "tiles" has those of AMX as memory.
NEEDS = {"native": set(), "haswell": {"avx2", "fma", "f16c", "bmi2"}, "x86-64": {"sse2"}}


def machine_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not info.exists():
        return set()
    lines = (line for line in info.read_text().splitlines() if line.startswith("flags"))
    return set(next(lines, "").split())


def instruction_sets() -> list[str]:
    flags = machine_flags()
    return [name for name, needed in NEEDS.items() if needed <= flags]


def compiler() -> str:
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or ""


class Drivers:
    """Compiled drivers by name and instruction set, built in the background as soon as the session asks for one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        self.workers = ThreadPoolExecutor(os.cpu_count() or 1)
        wanted = [(name, target) for name in DRIVERS for target in self.targets(name)]
        self.built: dict[tuple[str, str], Future[Path]] = {key: self.workers.submit(self.build, *key) for key in wanted}

    def targets(self, name: str) -> list[str]:
        if name == "narrow":
            return [*instruction_sets(), "tiles"]
        return ["native"] if name == "pool" else instruction_sets()

    def build(self, name: str, target: str) -> Path:
        library = self.folder / f"{name}-{target}.so"
        sources = [HERE / "drivers" / f"{name}.cpp"] + [HEADERS / "pool.cpp"] * (name == "pool")
        options = ["-march=native", "-DATTNC_EMULATED_TILES"] if target == "tiles" else [f"-march={target}"]
        command = [compiler(), *FLAGS, *WARNINGS, *options, f"-I{HEADERS}", *map(str, sources)]
        start = time.perf_counter()
        done = subprocess.run([*command, "-o", str(library), "-lm", "-pthread"], capture_output=True, text=True)
        self.seconds[f"{name} {target}"] = time.perf_counter() - start
        assert done.returncode == 0 and not done.stderr, done.stderr
        return library

    def load(self, name: str, target: str = "native") -> ctypes.CDLL:
        return ctypes.CDLL(str(self.built[name, target].result()))


_drivers: Drivers | None = None


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory):
    global _drivers
    if not compiler():
        pytest.skip("no C++ compiler")
    _drivers = Drivers(tmp_path_factory.mktemp("drivers"))
    yield _drivers
    _drivers.workers.shutdown()


@pytest.fixture(scope="session", params=instruction_sets())
def target(request: pytest.FixtureRequest) -> str:
    return request.param


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _drivers is not None and _drivers.seconds:
        times = ", ".join(f"{name} {seconds:.2f}" for name, seconds in sorted(_drivers.seconds.items()))
        terminalreporter.write_line(f"C++ drivers compiled in seconds (two at a time): {times}")
