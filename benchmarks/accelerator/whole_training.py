"""The kernel of `whole_training.cu`: it trains the article's network from beginning to end with all weights in registers."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accelerator.peers import Call
from benchmarks.torch_loop import torch
from benchmarks.workload import Start

SOURCE = Path(__file__).with_name("whole_training.cu")

SHAPES = {"inputs and outputs": 10, "hidden units": 1000, "samples in a batch": 100}
"""The sizes that are fixed in the kernel."""


def missing() -> str | None:
    """Return why the kernel cannot run on this machine; None if it can."""
    if torch is None or not torch.cuda.is_available():
        return "it needs PyTorch with CUDA"
    return None if shutil.which("nvcc") else "it needs nvcc"


def compiled(folder: Path) -> Any:
    """Return the library with the kernel, compiled for this machine's card into a folder."""
    major, minor = torch.cuda.get_device_capability()
    file = folder / "whole_training.so"
    subprocess.run(
        ["nvcc", "-O3", f"-arch=sm_{major}{minor}", "-shared", "-Xcompiler", "-fPIC", str(SOURCE), "-o", str(file)],
        check=True,
        capture_output=True,
    )
    return ctypes.CDLL(str(file))


def article(library: Any, start: Start, batch_count: int, epochs: int, rate: float) -> Call:
    """Return the training of runs of the article's network by the kernel, with all data on the card.

    Args:
      library: of `compiled`.
      start: R runs, of the kernel's `SHAPES`.
      batch_count: m.
      epochs: E.
      rate: the learning rate.
    """
    runs, num_samples, width = start.x.shape
    given = {"inputs and outputs": width, "hidden units": start.w1.shape[-1], "samples in a batch": num_samples // batch_count}
    if given != SHAPES:
        raise ValueError(f"the kernel trains {SHAPES}, got {given}")
    arrays = (start.x, start.target, start.w1, start.w2.swapaxes(1, 2))
    begin = [torch.tensor(np.ascontiguousarray(array), device="cuda") for array in arrays]
    losses = torch.empty((runs, epochs, batch_count), device="cuda")
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in [*begin, losses]]
    # What PyTorch has started must have ended before the kernel reads.
    torch.cuda.synchronize()

    def call() -> np.ndarray:
        losses.fill_(torch.nan)
        torch.cuda.synchronize()
        error = library.train(*pointers, runs, batch_count, epochs, ctypes.c_float(rate))
        if error:
            raise RuntimeError(f"the kernel failed with CUDA's error {error}")
        return losses.cpu().numpy()

    return call
