"""Many runs: study -> cells -> programs -> plan -> execution -> store -> Dataset.

study, subject      what to run, and the problem that it names
axes                its axes, and the cells that are their product
program, planner    what is compiled for them, and how it is called
execution           calls it, from all cores or devices
store, provenance   what is kept on disk, and what made it
labels, formats     the result as an xarray.Dataset, and for other programs
sweeping            all of that in one call; verification does it again and compares
"""

from jaxsgd.engine.labels import views
from jaxsgd.engine.planner import Plan, plan
from jaxsgd.engine.study import Distribution, Study
from jaxsgd.engine.sweeping import Progress, load, sweep
from jaxsgd.engine.verification import Verification, verify

__all__ = ["Distribution", "Plan", "Progress", "Study", "Verification", "load", "plan", "sweep", "verify", "views"]
