"""Many runs: study -> cells -> programs -> plan -> execution -> store -> dataset."""

from jaxsgd.engine.dataset import views
from jaxsgd.engine.plan import Plan, plan
from jaxsgd.engine.study import Distribution, Study
from jaxsgd.engine.sweeping import Progress, load, sweep
from jaxsgd.engine.verification import Verification, verify

__all__ = ["Distribution", "Plan", "Progress", "Study", "Verification", "load", "plan", "sweep", "verify", "views"]
