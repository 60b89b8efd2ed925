"""The making of the model of `jaxsgd diagnose`: recorded runs, logs with known causes made of them, training and assessment.

    recordings, rate_course   the runs
    examples                  the logs that they would have left behind, with the known truth
    staircases, lasting       logs drawn at random
    train                     the coefficients
    assess                    the answers about held-out logs
    false_alarms              the answers about logs in which nothing is periodic

`python -m tools.diagnosis_model --out FOLDER` writes `model.json` and the assessment into the folder. A new `model.json` is
copied into `jaxsgd/diagnosis` by hand.
"""
