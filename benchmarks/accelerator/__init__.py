"""`python -m benchmarks.accelerator`: whether sweeps are right on this machine's accelerator, and how fast they are there."""
