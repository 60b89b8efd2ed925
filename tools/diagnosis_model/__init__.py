"""The model of `jaxsgd diagnose`: simulated runs with known causes, the logs made of them, and what is learned from these.

`python -m tools.diagnosis_model` makes it anew and writes it into the package.
"""
