"""How fast the simulator is, side by side with what people would use in its place, on the machine at hand.

    workload  ->  peer, floor  ->  round        ->  table
    the runs      who runs them    interleaved      ratios, medians and spreads

Run it with `python -m benchmarks` in a clone of the repository. Nothing here is needed to train, sweep or measure.
"""
