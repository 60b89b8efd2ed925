"""Many runs: study -> cells -> programs -> plan -> execution -> store -> Dataset.

study, subject      what to run, and the problem that it names
axes                its axes, and the cells that are their product
observation         what is looked at after each epoch besides the losses
program, planner    what is compiled for them, and how it is called
program_cache       the compiled programs of this process, by their static parts (dependencies: the user's code among them)
program_folder      compiled programs on disk
execution           calls it, from all cores or devices
task, dispatch      one chunk as text, run by any worker; chunks handed out, retried and taken back
cluster             the workers of a Dask scheduler, or of this machine
store, provenance   what is kept on disk, and what made it
machine, memory     the machine, its software, and the memory that is free
progress            how far a sweep is, and how that is shown
estimate, time_left how long a sweep takes, before it runs and while it does
loading             what is on disk as a Dataset
labels, formats     the result as an xarray.Dataset, and for other programs
result_axis         its axes by name and value
comparison          what the values of one axis do, paired over the seeds
tuning              each setting at its own best rate, on one problem or several
best_setting        the best setting for each optimizer, order and batch count
batch_scaling       steps to a target at every batch count, tuned anew at each
noise_level         the gradient noise of a result's own runs
seed_source         which kind of seed makes a result scatter
sweeping            all of that in one call; verification does it again and compares

The names stand in `__init__.pyi`. They are loaded when first used, so that what needs one module loads that one only.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
