"""What each architecture allows, as data: shared memory, matrix instructions, how wide features are cut."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """`shared` is the bytes of shared memory that a block may use, `matrix` what its matrix instructions are called.

    `splits_widths`: whether features that are no power of two are cut in several blocks (else padded). `copies` names
    an instruction that loads in a pipeline leave, "" where there is none to look for. `peak` is its bf16 peak in
    TFLOP/s, `bandwidth` in TB/s, `exponentials` how many it takes a clock on each of `units`, at `clock` GHz.
    """

    name: str
    backend: str
    arch: int | str
    warp: int
    shared: int
    matrix: str
    splits_widths: bool
    copies: str
    stages: int
    peak: float
    bandwidth: float
    exponentials: int
    units: int
    clock: float

    @property
    def is_nvidia(self) -> bool:
        return self.backend == "cuda"


# peaks: NVIDIA's and AMD's data sheets for A100 SXM, RTX 4090, H100/H200 SXM, B200, RTX 5090, MI300X and MI355X
ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture("sm_80", "cuda", 80, 32, 166912, "mma.sync", False, "cp.async", 3, 312, 2.0, 16, 108, 1.41),
        Architecture("sm_86", "cuda", 86, 32, 101376, "mma.sync", False, "cp.async", 2, 142, 0.94, 16, 84, 1.7),
        Architecture("sm_89", "cuda", 89, 32, 101376, "mma.sync", False, "cp.async", 2, 330, 1.0, 16, 128, 2.52),
        Architecture("sm_90", "cuda", 90, 32, 232448, "wgmma", True, "cp.async", 3, 989, 4.8, 16, 132, 1.83),
        Architecture("sm_100", "cuda", 100, 32, 232448, "tcgen05.mma", True, "cp.async", 3, 2250, 8.0, 16, 148, 1.85),
        Architecture("sm_120", "cuda", 120, 32, 101376, "mma.sync", False, "cp.async", 2, 419, 1.79, 16, 170, 2.4),
        Architecture("gfx942", "hip", "gfx942", 64, 65536, "v_mfma", True, "", 2, 1307, 5.3, 16, 304, 2.1),
        Architecture("gfx950", "hip", "gfx950", 64, 163840, "v_mfma", True, "", 2, 2516, 8.0, 16, 256, 2.4),
    )
}


def architecture_of(capability: int | str) -> Architecture:
    """The architecture of a device: by name, or (NVIDIA) by its compute capability, the nearest one below."""
    if isinstance(capability, str):
        name = capability.split(":")[0]
        assert name in ARCHITECTURES, f"no kernels for {name}"
        return ARCHITECTURES[name]
    known = [one for one in ARCHITECTURES.values() if isinstance(one.arch, int) and one.arch <= capability]
    family = [one for one in known if int(one.arch) // 10 == capability // 10] or known
    assert family, f"compute capability {capability / 10} is too old: Triton's kernels need 8.0"
    return max(family, key=lambda one: int(one.arch))
