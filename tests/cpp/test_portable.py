"""Other processors and compilers: kernels as assembly for each, and a check of the header where it can be run."""

import platform
import shutil
import subprocess

import pytest

import attnc
from attnc.runtime import toolchain

from .conftest import HEADERS, HERE

ZIG = toolchain.packaged_compiler()
pytestmark = pytest.mark.skipif(ZIG is None, reason="ziglang is not installed")
FLAGS = ["cc", "-x", "c++", "-std=c++17", "-O2", "-fno-exceptions", "-fno-sanitize=undefined", "-ffp-contract=fast"]
FLAGS += ["-fno-math-errno", "-fno-trapping-math", f"-I{HEADERS}"]

# what the products of float32 and of bfloat16 tensors must be made of
TARGETS = {
    "aarch64-linux-gnu generic": ("fmla", "fmla"),
    "aarch64-linux-gnu neoverse_v1": ("fmla", "bfdot"),
    "aarch64-macos apple_m2": ("fmla", "bfdot"),
    "x86_64-linux-gnu haswell": ("vfmadd", "vfmadd"),
    "x86_64-linux-gnu cooperlake": ("vfmadd", "vdpbf16ps"),
    "x86_64-linux-gnu sapphirerapids": ("vfmadd", "tdpbf16ps"),
}
SPEC = "attention a(window: int = 9) axis i, j: N mask j <= i and i - j < window"


def zig(target: str, *more: str) -> subprocess.CompletedProcess:
    system, processor = target.split()
    command = [ZIG.path, *FLAGS, "-target", system, f"-mcpu={processor}", *more]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("target", TARGETS)
def test_kernels(target, tmp_path):
    for dtype, instruction in zip(("float32", "bfloat16"), TARGETS[target]):
        source, assembly = tmp_path / f"{dtype}.cpp", tmp_path / f"{dtype}.s"
        source.write_text(attnc.loads(SPEC).source(backward=True, dtype=dtype))
        done = zig(target, "-fPIC", "-g0", "-S", str(source), "-o", str(assembly))
        assert done.returncode == 0, done.stderr
        done = zig(target, "-fPIC", "-c", str(source), "-o", str(tmp_path / "kernel.o"))
        assert done.returncode == 0, done.stderr  # what is written in assembly is understood
        assert instruction.encode() in assembly.read_bytes()


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("g++"), reason="no g++ for x86-64")
def test_tiles_with_gcc(tmp_path):
    """AMX, of which no machine here has any: understood by the assembler, and complete as a library."""
    source = tmp_path / "kernel.cpp"
    source.write_text(attnc.loads(SPEC).source(backward=True, dtype="bfloat16"))
    command = ["g++", "-std=c++17", "-O2", "-fPIC", "-shared", "-march=sapphirerapids", f"-I{HEADERS}", str(source)]
    done = subprocess.run([*command, "-Wl,-z,defs", "-o", str(tmp_path / "kernel.so")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "target", ["x86_64-linux-musl haswell", "aarch64-linux-musl generic", "aarch64-linux-musl max"]
)
def test_the_header_where_it_runs(target, tmp_path):
    """Arm by way of qemu, where that is installed."""
    machine = target.split("-")[0]
    runner = [] if machine == platform.machine() else [shutil.which(f"qemu-{machine}")]
    if None in runner:
        pytest.skip(f"nothing here runs programs for {machine}")
    program = tmp_path / "whole"
    done = zig(target, "-static", str(HERE / "drivers" / "whole.cpp"), "-o", str(program))
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*runner, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
