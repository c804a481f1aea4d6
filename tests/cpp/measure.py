"""Prints how fast the C++ support is here: compiling, products, elementary functions, packing, the thread pool.

Run as `python tests/cpp/measure.py [-march target]`; the machine should be otherwise idle. Not part of the tests.
"""

import ctypes
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
HEADERS = HERE.parent.parent / "codegen" / "cpp"
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC", "-shared"]
PRODUCTS = [(96, n, k) for n in (64, 128, 256) for k in (64, 128, 256)]
PRODUCTS += [(m, n, k) for m in (64, 128) for n in (128, 256, 512) for k in (64, 128)]
PRODUCTS += [(64, 64, 512), (128, 128, 512), (64, 16, 32), (64, 32, 40), (64, 48, 40), (64, 80, 128), (8, 512, 64)]
PRODUCTS += [(1, 512, 64)]


def compile_driver(sources: list[Path], target: str, library: Path) -> float:
    compiler = shutil.which("g++") or "clang++"
    start = time.perf_counter()
    command = [compiler, *FLAGS, f"-march={target}", f"-I{HEADERS}", *map(str, sources), "-o", str(library)]
    subprocess.run([*command, "-lm", "-pthread"], check=True)
    return time.perf_counter() - start


def report_compile_times(folder: Path, target: str) -> None:
    empty, header = folder / "empty.cpp", folder / "header.cpp"
    empty.write_text('extern "C" int nothing() { return 0; }\n')
    header.write_text(f'#include "attnc_tile.h"\n{empty.read_text()}')
    cases = {"nothing": empty, "the header": header, "a typical kernel": HERE / "drivers" / "typical.cpp"}
    cases["the pool"] = HEADERS / "pool.cpp"
    for name, source in cases.items():
        seconds = min(compile_driver([source], target, folder / "timed.so") for _ in range(5))
        print(f"compiling {name:17} {seconds:.3f} s")


def report_products(library: ctypes.CDLL, suffix: str) -> None:
    peak, product = getattr(library, f"peak_{suffix}"), getattr(library, f"product_{suffix}")
    best = max(peak() for _ in range(5))
    name = {"f": "float", "d": "double"}[suffix]
    print(f"\npeak of one core, {name}: {best / 1e9:.1f} GFLOP/s; products in % of it")
    print("   m    n    k   padding   A by rows  A by columns  C += A by columns")
    for m, n, k in PRODUCTS:
        for pad in (0, 16):
            forms = [(0, pad, 0), (1, pad, 0), (1, pad, 1)]
            rates = [product(m, n, k, *form) / best for form in forms]
            print(f"{m:4} {n:4} {k:4} {pad:9} {rates[0]:11.1%} {rates[1]:13.1%} {rates[2]:18.1%}")


def report_rest(library: ctypes.CDLL) -> None:
    print("\n10^9 elements a second:      float  double")
    for name in ("exp2", "exp", "log", "tanh", "sigmoid", "erf", "sin"):
        rates = [getattr(library, f"{name}_{suffix}")() / 1e9 for suffix in "fd"]
        print(f"  {name:24} {rates[0]:7.2f} {rates[1]:7.2f}")
    print("\npacking 512 x 64, GB/s of float written: by rows, transposed, transposed to lines 16 longer")
    for kind in ("float", "bf16", "f16"):
        pack = getattr(library, f"pack_{kind}")
        print(f"  {kind:8}", *(f"{pack(512, 64, *form) / 1e9:6.1f}" for form in [(0, 0), (0, 1), (16, 1)]))
    print("\na call of the pool with two threads, microseconds")
    call = library.call_seconds
    print(f"  of empty tasks                       {call(0, 0, 20000) * 1e6:6.2f}")
    print(f"  whose two tasks wait for each other  {call(1, 0, 20000) * 1e6:6.2f}")
    print(f"  the same after 2 ms of sleep         {call(1, 2000, 200) * 1e6:6.2f}")


def main() -> None:
    target = sys.argv[sys.argv.index("-march") + 1] if "-march" in sys.argv else "native"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report_compile_times(folder, target)
        compile_driver([HERE / "drivers" / "measure.cpp", HEADERS / "pool.cpp"], target, folder / "measure.so")
        library = ctypes.CDLL(str(folder / "measure.so"))
        for suffix in "fd":
            numbers = [ctypes.c_int64] * 3 + [ctypes.c_int, ctypes.c_int64, ctypes.c_int]
            getattr(library, f"product_{suffix}").argtypes = numbers
            for function in ("peak", "product", "exp2", "exp", "log", "tanh", "sigmoid", "erf", "sin"):
                getattr(library, f"{function}_{suffix}").restype = ctypes.c_double
            report_products(library, suffix)
        for kind in ("float", "bf16", "f16"):
            pack = getattr(library, f"pack_{kind}")
            pack.argtypes, pack.restype = [ctypes.c_int64] * 3 + [ctypes.c_int], ctypes.c_double
        library.call_seconds.restype = ctypes.c_double
        report_rest(library)


if __name__ == "__main__":
    main()
