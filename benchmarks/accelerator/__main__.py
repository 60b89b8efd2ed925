"""Run each part in a process of its own, and write one JSON file with all that came out."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import jax
import typer

from benchmarks.accelerator import correctness, memory, timing
from benchmarks.accelerator.sizes import FULL, SMALL, Sizes
from benchmarks.torch_loop import torch
from jaxsgd.cli.output import to_json
from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.machine import devices, processor, versions

Part = Callable[[Sizes, dict[str, str]], Any]
"""`(sizes, texts) -> plain values`; `texts` takes what is to be written beside the JSON file."""


def _environment(sizes: Sizes) -> dict[str, Any]:
    others = {"torch": torch.__version__ if torch else None}
    return {
        "devices": devices(),
        "platform_version": jax.devices()[0].client.platform_version,
        "versions": {**versions(), **others},
        "host": processor(),
        "compiler_options": compiler_options(),
        "ceilings": timing.ceilings(sizes),
    }


PARTS: dict[str, Part] = {
    "environment": lambda sizes, texts: _environment(sizes),
    **{
        f"against the CPU, {name}": lambda sizes, texts, name=name: list(correctness.against_cpu(sizes, name))
        for name in correctness.STUDIES
    },
    "TensorFloat-32": lambda sizes, texts: correctness.tensorfloat32(sizes),
    **{
        f"bits, {name}, process {number}": lambda sizes, texts, options=options: correctness.digests(sizes, options)
        for name, options in timing.REPEATABLE.items()
        for number in (1, 2)
    },
    "peers": lambda sizes, texts: list(timing.beside_peers(sizes)),
    "digits": lambda sizes, texts: list(timing.digits(sizes)),
    "problems": lambda sizes, texts: list(timing.problems(sizes)),
    "one kernel": lambda sizes, texts: timing.in_one_kernel(sizes),
    "parts": lambda sizes, texts: list(timing.parts(sizes)),
    "lanes": lambda sizes, texts: timing.over_lanes(sizes),
    "options": lambda sizes, texts: list(timing.over_options(sizes, texts)),
    **{
        f"time, {name}": lambda sizes, texts, options=options: timing.with_option(sizes, options)
        for name, options in timing.REPEATABLE.items()
    },
    "memory": lambda sizes, texts: memory.measured(sizes),
    "paths": lambda sizes, texts: timing.over_paths(sizes),
    "orders": lambda sizes, texts: timing.over_orders(sizes),
    "forms": lambda sizes, texts: list(timing.forms(sizes)),
}
"""The parts by name, the most important first."""

TOGETHER = tuple(name for name in PARTS if name.startswith(("against", "Tensor", "bits")))
"""The parts that measure no time, which run side by side."""

MEMORY_SHARES = dict.fromkeys(TOGETHER, "0.07") | {"peers": "0.5"}
"""The share of the memory that JAX takes at the start of a part, where the usual one would leave too little for others."""


def run(
    out: Annotated[Path, typer.Option(help="The JSON file to write; texts of programs are written beside it.")],
    part: Annotated[
        list[str], typer.Option(help=f"A part, which may be repeated; all without. One of {', '.join(PARTS)}.")
    ] = [],  # noqa: B006
    small: Annotated[bool, typer.Option("--small", help="Small sizes, to see on a CPU that the script runs.")] = False,
    limit: Annotated[
        float, typer.Option(help="Seconds after which no further part begins, and the running part ends.")
    ] = 480.0,
    alone: Annotated[bool, typer.Option("--alone", hidden=True)] = False,
) -> None:
    """Measure sweeps on this machine's accelerator: are they right, how fast are they, and what limits them."""
    names = part or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise typer.BadParameter(f"part must be one of {', '.join(PARTS)}, got {unknown[0]!r}")
    if alone:
        texts: dict[str, str] = {}
        values = PARTS[names[0]](SMALL if small else FULL, texts)
        out.write_text(to_json({"values": values, "texts": texts}))
        return
    began = time.perf_counter()
    results: dict[str, Any] = {}
    rounds = [[name for name in TOGETHER if name in names], *([name] for name in names if name not in TOGETHER)]
    for own in filter(None, rounds):
        seconds = limit - (time.perf_counter() - began)
        if seconds > 0:
            with ThreadPoolExecutor(len(own)) as pool:
                futures = {name: pool.submit(_in_a_process, name, small, seconds, out) for name in own}
            results |= {name: future.result() for name, future in futures.items()}
        else:
            results |= {name: {"not run": f"{limit:g} seconds were over"} for name in own}
        out.write_text(json.dumps(results, indent=1))
        for name in own:
            typer.echo(f"{name}: {json.dumps(results[name])[:1200]}")


def _in_a_process(name: str, small: bool, seconds: float, out: Path) -> dict[str, Any]:
    """Return the values of a part that runs in a new process, with its time; or its error."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "part.json"
        words = [sys.executable, "-m", "benchmarks.accelerator", "--alone", "--part", name, "--out", str(file)]
        settings = {"XLA_PYTHON_CLIENT_MEM_FRACTION": MEMORY_SHARES[name]} if name in MEMORY_SHARES else {}
        try:
            done = subprocess.run(
                [*words, *(["--small"] if small else [])],
                env=os.environ | settings,
                timeout=seconds,
                capture_output=True,
                text=True,
            )
        except subprocess.TimeoutExpired:
            return {"not finished": f"stopped after {seconds:.0f} seconds"}
        taken = time.perf_counter() - began
        if done.returncode:
            return {"failed": done.stderr.splitlines()[-8:], "seconds": taken}
        written = json.loads(file.read_text())
    for text_name, text in written["texts"].items():
        out.with_name(f"{out.stem}_{text_name}.txt").write_text(text)
    return {"seconds": taken, "values": written["values"]}


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    app()
