"""Many runs: study -> cells -> programs -> plan -> execution -> store -> Dataset.

study, subject      what to run, and the problem that it names
axes                its axes, and the cells that are their product
observation         what is looked at after each epoch besides the losses
program, planner    what is compiled for them, and how it is called
execution           calls it, from all cores or devices
task, dispatch      one chunk as text, run by any worker; chunks handed out, retried and taken back
cluster             the workers of a Dask scheduler, or of this machine
store, provenance   what is kept on disk, and what made it
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
"""

from jaxsgd.engine.batch_scaling import scaling
from jaxsgd.engine.best_setting import best_settings
from jaxsgd.engine.comparison import compare
from jaxsgd.engine.labels import views
from jaxsgd.engine.loading import load
from jaxsgd.engine.noise_level import run_noise
from jaxsgd.engine.planner import Plan, plan
from jaxsgd.engine.seed_source import seed_variance
from jaxsgd.engine.study import Distribution, Study
from jaxsgd.engine.sweeping import Progress, sweep
from jaxsgd.engine.tuning import benchmark, tuned
from jaxsgd.engine.verification import Verification, verify

__all__ = [
    "Distribution",
    "Plan",
    "Progress",
    "Study",
    "Verification",
    "benchmark",
    "best_settings",
    "compare",
    "load",
    "plan",
    "run_noise",
    "scaling",
    "seed_variance",
    "sweep",
    "tuned",
    "verify",
    "views",
]
