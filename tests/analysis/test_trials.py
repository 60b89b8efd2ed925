"""The values of settings that a search proposes, and Optuna proposing them."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.engine.program_cache import PROGRAMS

STUDY = jaxsgd.Study(
    problem="least_squares",
    problem_args={"num_samples": 12, "num_inputs": 3},
    seeds=[0, 1, 2],
    batch_counts=[3],
    optimizer="momentum",
    learning_rates=[1.0],
    hyper={"momentum": [0.5]},
    epochs=3,
    record="epoch",
)


def test_each_setting_has_the_value_of_a_sweep_with_that_setting_alone():
    settings = [{"learning_rate": 0.1, "momentum": 0.9}, {"learning_rate": 0.02, "momentum": 0.9}]
    values = jaxsgd.trials(STUDY, settings, "loss_epoch")
    for setting, value in zip(settings, values, strict=True):
        alone = STUDY.replaced(learning_rates=[setting["learning_rate"]], hyper={"momentum": [setting["momentum"]]})
        ds = jaxsgd.sweep(alone)
        assert value == pytest.approx(float(ds.loss_epoch.isel(epoch=-1).median("seed").squeeze()), rel=1e-6)


def test_a_setting_that_diverges_is_infinitely_bad():
    values = jaxsgd.trials(STUDY, [{"learning_rate": 0.1}, {"learning_rate": 1e20}])
    assert np.isfinite(values[0])
    assert values[1] == np.inf


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "at least one setting"),
        ([{"learning_rate": 0.1}, {"momentum": 0.9}], "the same axes"),
        ([{"momentun": 0.9}], "did you mean 'momentum'"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(settings, message):
    with pytest.raises(jaxsgd.InputError, match=message):
        jaxsgd.trials(STUDY, settings)


def test_a_study_with_several_values_of_another_axis_is_refused():
    with pytest.raises(jaxsgd.InputError, match="several values of batch_count"):
        jaxsgd.trials(STUDY.replaced(batch_counts=[1, 3]), [{"learning_rate": 0.1}])


def proposals(seed):
    """Return what Optuna proposed in 3 rounds of 8, and the values of the settings."""
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8))
    space = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-3, 100, log=True),
        "momentum": optuna.distributions.FloatDistribution(0, 0.99),
    }
    for _ in range(3):
        asked = [search.ask(space) for _ in range(8)]
        values = jaxsgd.trials(STUDY, [trial.params for trial in asked])
        for trial, value in zip(asked, values, strict=True):
            search.tell(trial, value)
    return [trial.params for trial in search.trials], [trial.value for trial in search.trials]


def test_three_rounds_of_optuna_compile_once_and_the_same_seed_proposes_the_same(nothing_compiled):
    first = proposals(0)
    assert len(PROGRAMS) == 2  # one draws the starts, one trains
    assert len(first[0]) == 24
    assert proposals(0) == first
    assert proposals(1)[0] != first[0]
    assert len(PROGRAMS) == 2
