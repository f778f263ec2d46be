"""What jobs run on, as the estimate sees it: how fast, and what a job and a pass cost before any work.

Standard library only. None of the GPUs could be measured here. Their rates are a fraction of the published dense peak
in bfloat16 (A100: 312 TFLOP/s, H200: 989) that mid-sized networks on sequences of some hundred tokens may be expected
to reach: a fifth and a sixth. Pass --tflops, or the ledger of jobs that ran (--ledger), where more is known. The CPU's
numbers were fitted to jobs of the demo and to the speeds of full-size networks in `models/README.md`, one core of an
AMD EPYC.
"""

from dataclasses import dataclass

# Seconds of a CPU core per token, layer and unit of width beyond matrix products, forward: filters, scans, attention.
CPU_ELEMENT = {"caduceus": 3.0e-7, "hyenadna": 3.2e-8, "mistral": 6.0e-8, "dilated_cnn": 6e-9, "cnn": 4e-9}
OTHER_ELEMENT = 1.5e-8


@dataclass(frozen=True)
class Device:
    """Where the jobs of networks run.

    `flops`: sustained floating-point operations per second. `launch`: seconds of a forward pass at least. `start`:
    seconds of a job before its work, and `imports`: more seconds of it where torch is imported. `gpu`: whether
    networks run on a GPU, otherwise on a core as everything else.
    """

    name: str
    flops: float
    launch: float
    start: float
    imports: float = 0.0
    gpu: bool = True

    def seconds(self, factor: int, operations: float, elements: float, family: str) -> float:
        """Seconds of one pass of a batch.

        `factor`: 1 forward, 3 with the backward pass, in which everything is done thrice. `operations`: of its matrix
        products, all of the factor's. `elements`: tokens × layers × width, forward. On a GPU kernels are launched while
        others run, so that what takes longer counts; on a core one thing follows on the other.
        """
        if self.gpu:
            return max(factor * self.launch, operations / self.flops)
        element = CPU_ELEMENT.get(family, OTHER_ELEMENT)
        return factor * (self.launch + element * elements) + operations / self.flops

    def describe(self) -> str:
        """Its assumptions in a sentence."""
        where = "GPU" if self.gpu else "core"
        imports = f", {self.imports:g} more with torch" if self.imports else ""
        return (
            f"{self.name}: {self.flops / 1e12:.3g} TFLOP/s sustained on a {where}, {self.launch * 1e3:g} ms of a "
            f"forward pass at least, {self.start:g} s before a job's work{imports}"
        )


# A job of a cluster waits for its allocation, reads the Snakefile and imports; one of this machine is a fork of a
# worker that has imported (`runtime.worker`).
DEVICES = {
    "h200": Device("h200", 160e12, 0.02, 15.0),
    "a100": Device("a100", 60e12, 0.02, 15.0),
    "cpu": Device("cpu", 6e10, 0.002, 0.25, 0.1, gpu=False),
}
DEFAULT = "a100"
