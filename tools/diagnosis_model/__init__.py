"""The making of the model of `jaxsgd diagnose`: recorded runs, logs with known causes made of them, training and assessment.

    recordings, rate_course   the runs
    examples                  the logs that they would have left behind, with the known truth
    staircases                logs drawn at random, with and without a staircase
    train                     the coefficients
    assess                    the answers about held-out logs
    lasting                   losses drawn at random in which nothing is periodic
    false_alarms              the answers about these, and about recorded runs in which nothing is periodic

`python -m tools.diagnosis_model --out FOLDER` writes `model.json` and the assessment into the folder. A new `model.json` is
copied into `jaxsgd/diagnosis` by hand.
"""
