"""`jaxsgd info`: versions, devices, flags, caches."""

import os
from typing import Annotated

import typer

from jaxsgd.cli.output import make_console, to_json
from jaxsgd.cli.runtime import start_jax


def info(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Show what a result depends on here: versions, devices, flags, and the cache of compiled programs."""
    start_jax(context)
    import jax

    from jaxsgd.compiling.compiler_options import compiler_options
    from jaxsgd.engine.program_folder import program_folder
    from jaxsgd.machine import devices, git_commit, processor, threads, versions

    folder = program_folder()
    files = [path for path in folder.glob("*") if path.is_file() and path.suffix != ".json"]
    facts = {
        "versions": versions(),
        "device": devices(),
        "processor": processor(),
        "threads": threads(),
        "flags": {name: value for name, value in sorted(os.environ.items()) if name.startswith(("XLA_", "JAX_"))},
        "compiler": compiler_options(),
        "cache": {
            "folder": str(folder),
            "enabled": bool(getattr(jax.config, "jax_enable_compilation_cache", False)),
            "programs": len(files),
            "bytes": sum(path.stat().st_size for path in files),
        },
        "git_commit": git_commit(),
    }
    if as_json:
        typer.echo(to_json(facts))
        return
    console = make_console(quiet=False)
    for group, values in facts.items():
        inner = values.items() if isinstance(values, dict) else [("", values)]
        for row, (name, value) in enumerate(inner):
            console.print(f"{group if row == 0 else '':<11} {name:<9} {value}".rstrip(), soft_wrap=True)
