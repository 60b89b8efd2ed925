"""The speed of the simulator beside the tools that people use in its place, on this machine.

    workload  ->  peer, floor  ->  round        ->  table
    the runs      who runs them    interleaved      ratios, medians and spreads

Run it with `python -m benchmarks` in a clone of the repository. Nothing here is needed to train, sweep or measure.
"""
