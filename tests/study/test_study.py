"""A study: what it accepts, what it refuses and in which words, and what makes two studies the same."""

import hashlib
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.engine.plan import plan
from jaxsgd.order import ORDERS
from jaxsgd.study.cells import cells
from jaxsgd.study.field_types import Distribution
from jaxsgd.study.fields import StudyFields
from jaxsgd.study.study import order_named

pytestmark = pytest.mark.usefixtures("unchecked")

FIELDS = {
    "problem": "least_squares",
    "problem_args": {"num_samples": 60},
    "seeds": [0],
    "batch_counts": [2],
    "learning_rates": [0.1],
    "epochs": 2,
}
LEFT_OUT = object()


def fields(**changed):
    return {name: value for name, value in {**FIELDS, **changed}.items() if value is not LEFT_OUT}


def study(**changed):
    return Study(**fields(**changed))


def refusal(**changed):
    """The message of the InputError, which is one line."""
    with pytest.raises(InputError) as caught:
        study(**changed)
    message = str(caught.value)
    assert "\n" not in message
    return message


MISTAKES = {
    "unknown problem": ({"problem": "least_square"}, "problem: unknown problem 'least_square': did you mean 'least_squares'? "),
    "unknown argument": (
        {"problem_args": {"num_sample": 3}},
        "problem_args: unknown argument of problem 'least_squares' 'num_sample': did you mean 'num_samples'? ",
    ),
    "argument of a wrong value": ({"problem_args": {"num_samples": 0}}, "problem_args: num_samples must be a whole number"),
    "argument with several values": (
        {"problem_args": {"noise": [0.1, 1.0]}},
        "problem_args: noise must be one value, got [0.1, 1.0]: to run them all, write problem_axes={'noise': [0.1, 1.0]}",
    ),
    "argument that is no JSON": ({"problem_args": {"noise": np.ones((2, 2))}}, "problem_args: must be plain JSON values"),
    "argument that is not finite": ({"problem_args": {"noise": float("nan")}}, "problem_args: must be plain JSON values"),
    "problem without a needed argument": (
        {"problem": "from_file", "problem_args": {}},
        "problem_args: problem 'from_file' needs the argument 'path' in problem_args",
    ),
    "problem's module": ({"problem": "no_such:thing"}, "problem: problem 'no_such:thing': cannot import 'no_such': "),
    "problem that is none": (
        {"problem": "numpy:pi", "problem_args": {}},
        "problem_args: problem 'numpy:pi' must be a Problem or a function that returns a Problem, got 3.14",
    ),
    "dtype": ({"dtype": "float16"}, "dtype: must be 'float32' or 'float64', got 'float16'"),
    "seed below 0": ({"seeds": [-1]}, "seeds.0: must be at least 0, got -1"),
    "seed past 32 bits": ({"seeds": [2**32]}, "seeds.0: must be at most 4294967295, got 4294967296"),
    "seed in parts": (
        {"seeds": [0.5]},
        "seeds.0: must be a whole number, got 0.5",
    ),
    "seed twice": ({"seeds": [3, 1, 3]}, "seeds: has 3 more than once"),
    "no seeds": ({"seeds": []}, "seeds: must have at least one value"),
    "table of seeds": ({"seeds": np.ones((2, 2))}, "seeds: "),
    "unknown order": (
        {"orders": "reshufle"},
        "orders: unknown order 'reshufle': did you mean 'reshuffle'? valid: block_buffer(k, n), blocks(k), buffer(k), fixed, ",
    ),
    "order that is none": ({"orders": "numpy:pi"}, "orders: order must be a name, an Order or a function"),
    "order of two lines": ({"orders": ["x\ny"]}, "orders: unknown order 'x\\ny': valid: "),
    "unknown optimizer": ({"optimizer": "addam"}, "optimizers: unknown optimizer 'addam': did you mean 'adam'? valid: "),
    "optimizer and optimizers": (
        {"optimizer": "sgd", "optimizers": ["adam"]},
        "give either optimizer, for a single optimizer, or optimizers",
    ),
    "optimizer that is no function": (
        {"optimizer": "numpy:pi"},
        "optimizers: optimizer 'numpy:pi' must be a function, got 3.14",
    ),
    "optimizer argument": (
        {"optimizer_args": {"momentun": 0.9}},
        "optimizer_args: unknown sgd hyperparameter 'momentun': did you mean 'momentum'? valid: ",
    ),
    "hyperparameter": (
        {"optimizers": ["adam"], "hyper": {"momentum": [0.9]}},
        "hyper: unknown adam hyperparameter 'momentum': ",
    ),
    "hyperparameter of one of two": (
        {"optimizers": ["sgd", "adam"], "hyper": {"momentum": [0.9]}},
        "hyper: unknown adam hyperparameter 'momentum': ",
    ),
    "hyperparameter not finite": ({"hyper": {"momentum": [np.inf]}}, "hyper.momentum: must be finite, got inf"),
    "hyperparameter in words": ({"hyper": {"momentum": ["high"]}}, "hyper.momentum.0: must be a number"),
    "hyperparameter twice": (
        {"hyper": {"momentum": [0.9]}, "optimizer_args": {"momentum": 0.9}},
        "hyper: 'momentum' is given twice: ",
    ),
    "random hyperparameter": (
        {"random": {"momentun": {"uniform": [0, 1]}}, "draws": 2},
        "random: unknown sgd hyperparameter 'momentun': did you mean 'momentum'? ",
    ),
    "random seed": ({"random": {"seed": {"uniform": [0, 9]}}, "draws": 2}, "random: unknown sgd hyperparameter 'seed': "),
    "empty distribution": (
        {"random": {"momentum": {}}, "draws": 2},
        "random.momentum.choice: give exactly one of log_uniform, uniform, choice",
    ),
    "two distributions": (
        {"random": {"momentum": {"uniform": [0, 1], "log_uniform": [0.1, 1]}}, "draws": 2},
        "random.momentum.choice: give exactly one of log_uniform, uniform, choice",
    ),
    "interval upside down": (
        {"random": {"momentum": {"uniform": [1, 0]}}, "draws": 2},
        "random.momentum.uniform: must be a finite interval (low, high) with low < high, got (1.0, 0.0)",
    ),
    "logarithm of 0": (
        {"random": {"momentum": {"log_uniform": [0, 1]}}, "draws": 2},
        "random.momentum.log_uniform: must have a low above 0, got 0.0",
    ),
    "random rate below 0": (
        {"random": {"learning_rate": {"uniform": [-0.1, 0.1]}}, "draws": 2, "learning_rates": LEFT_OUT},
        "random: learning_rate must be above 0, got uniform (-0.1, 0.1)",
    ),
    "random rate of a list below 0": (
        {"random": {"learning_rate": {"choice": [0.1, -0.1]}}, "draws": 2, "learning_rates": LEFT_OUT},
        "random: must be finite and above 0, got -0.1",
    ),
    "random without draws": (
        {"random": {"momentum": {"uniform": [0, 1]}}},
        "draws: give random and draws together, or neither of them",
    ),
    "draws without random": ({"draws": 5}, "draws: give random and draws together, or neither of them, got draws=5"),
    "no rate": (
        {"learning_rates": LEFT_OUT},
        "learning_rates: must be given, as learning_rates=[0.01, 0.1] (or the random axis learning_rate)",
    ),
    "rate in both places": (
        {"random": {"learning_rate": {"uniform": [0, 1]}}, "draws": 2},
        "learning_rates: give learning rates either here or as the random axis learning_rate, and not as both",
    ),
    "rate of 0": ({"learning_rates": [0.1, 0]}, "learning_rates: must be finite and above 0, got 0.0"),
    "rate not finite": ({"learning_rates": [float("nan")]}, "learning_rates: must be finite and above 0, got nan"),
    "batch count past N": ({"batch_counts": [2, 61]}, "batch_counts: must be at most 60, the number of samples, got 61"),
    "batch size past N": (
        {"batch_counts": LEFT_OUT, "batch_sizes": [61]},
        "batch_sizes: must be at most 60, the number of samples, got 61",
    ),
    "batch count of 0": ({"batch_counts": [0]}, "batch_counts.0: must be at least 1, got 0"),
    "no sizes": ({"batch_counts": LEFT_OUT}, "batch_sizes: give exactly one of batch_counts and batch_sizes"),
    "both sizes": (
        {"batch_sizes": [3]},
        "batch_sizes: give exactly one of batch_counts and batch_sizes (or the random axis batch_count), got "
        "batch_counts=(2,), batch_sizes=(3,): leave one out (after --set, batch_sizes=null)",
    ),
    "a decay above 1": ({"optimizer": "adam", "hyper": {"b2": [0.9, 2]}}, "hyper: b2 must be from 0 to below 1, got 2"),
    "a decay of 1": (
        {"optimizer": "adamw", "optimizer_args": {"b1": 1.0}},
        "optimizer_args: b1 must be from 0 to below 1, got 1",
    ),
    "a decay below 0": (
        {"optimizer": "adam", "random": {"b1": {"choice": [-0.9, 0.9]}}, "draws": 2},
        "random: b1 must be from 0 to below 1, got -0.9",
    ),
    "drop_last by count": ({"drop_last": True}, "batch_sizes: drop_last=True needs batch_sizes"),
    "rule without a reference": (
        {"batch_rules": {"learning_rate": "linear"}},
        "reference_batch_count: batch_rules need one of reference_batch_count and reference_batch_size",
    ),
    "two references": (
        {"batch_rules": {"learning_rate": "linear"}, "reference_batch_count": 2, "reference_batch_size": 2},
        "reference_batch_count: batch_rules need one of reference_batch_count and reference_batch_size",
    ),
    "reference without a rule": (
        {"reference_batch_count": 4},
        "reference_batch_count: give it (or reference_batch_size) together with batch_rules, and only then",
    ),
    "reference size without a rule": (
        {"reference_batch_size": 4},
        "reference_batch_count: give it (or reference_batch_size) together with batch_rules, and only then",
    ),
    "unknown rule": (
        {"batch_rules": {"learning_rate": "sqr"}, "reference_batch_count": 4},
        "batch_rules: unknown batch rule 'sqr': did you mean 'sqrt'? valid: complement, constant, ",
    ),
    "rule of an unknown hyperparameter": (
        {"batch_rules": {"momentun": "half_life"}, "reference_batch_count": 4},
        "batch_rules: unknown sgd hyperparameter 'momentun': did you mean 'momentum'? valid: ",
    ),
    "rule of a memory for something else": (
        {"batch_rules": {"learning_rate": "half_life"}, "reference_batch_count": 4},
        "batch_rules: the rule 'half_life' is for the decay of a memory, such as b2: learning_rate takes constant, linear, ",
    ),
    "rule of weight decay for something else": (
        {"batch_rules": {"learning_rate": "timescale"}, "reference_batch_count": 4},
        "batch_rules: the rule 'timescale' is for weight_decay only, got it for learning_rate",
    ),
    "rule without a number": (
        {"batch_rules": {"learning_rate": "power()"}, "reference_batch_count": 4},
        "batch_rules: batch rule 'power' needs 1 number in brackets, power(p) (p: power of the batch size), got 'power()'",
    ),
    "rules that are no dictionary": (
        {"batch_rules": ["sqrt"], "reference_batch_count": 4},
        "batch_rules: must be a dictionary such as",
    ),
    "no set of rules": ({"batch_rules": [], "reference_batch_count": 4}, "batch_rules: must have at least one set of rules"),
    "the same rules with two names": (
        {"batch_rules": {"a": {"learning_rate": "sqrt"}, "b": {"learning_rate": "sqrt"}}, "reference_batch_count": 4},
        "batch_rules: has the rules of 'b' more than once, with another name",
    ),
    "schedule": ({"schedules": "cosin"}, "schedules: unknown schedule 'cosin': did you mean 'cosine'? valid: "),
    "schedule out of range": (
        {"schedules": "warmup_cosine(2)"},
        "schedules: share of schedule 'warmup_cosine(2)' must be a number from 0 to 0.999",
    ),
    "schedule that is too long": (
        {"schedules": ["wsd(0.6, 0.6)"]},
        "schedules: the shares of schedule 'wsd' must be at most 1 together, got 0.6 and 0.6",
    ),
    "schedule twice": ({"schedules": ["wsd(.1, .2)", "wsd(0.1,0.20)"]}, "schedules: has 'wsd(0.1, 0.2)' more than once"),
    "no epochs": ({"epochs": LEFT_OUT}, "epochs: give epochs, or instead steps or samples"),
    "two budgets": ({"steps": 9}, "epochs: give exactly one of epochs, steps and samples, got epochs=2, steps=9"),
    "steps of 0": ({"steps": 0, "epochs": LEFT_OUT}, "steps: must be at least 1, got 0"),
    "share of an epoch": (
        {"evaluate_every": 0.3},
        "evaluate_every: must be 1/q of an epoch with a whole q, such as 0.25, or a whole number of steps, such as 10, got 0.3",
    ),
    "share of 1.0": (
        {"evaluate_every": 1.0},
        "evaluate_every: must be 1/q of an epoch with a whole q, such as 0.25, or a whole number of steps, such as 10, got "
        "1.0 (write 1 for every step, or None for once after each epoch)",
    ),
    "steps that are text": ({"evaluate_every": "often"}, "evaluate_every: must be 1/q of an epoch with a whole q"),
    "epochs of 0": ({"epochs": 0}, "epochs: must be at least 1, got 0"),
    "interval of 0": ({"eval_interval": 0}, "eval_interval: must be at least 1, got 0"),
    "record": ({"record": "all"}, "record: must be 'batch' or 'epoch', got 'all'"),
    "precision": ({"precision": "tf32"}, "precision: must be 'float32', 'tensorfloat32' or 'bfloat16', got 'tf32'"),
    "unknown field": ({"batch_count": [2]}, "unknown field 'batch_count': did you mean 'batch_counts'?"),
    "unknown distribution": (
        {"random": {"momentum": {"loguniform": [0.1, 0.9]}}, "draws": 2},
        "random.momentum: unknown name 'loguniform': did you mean 'log_uniform'? valid: choice, log_uniform, uniform, values",
    ),
    "interval without a distribution": (
        {"random": {"momentum": [0.1, 0.9]}, "draws": 2},
        "random.momentum: must be a dictionary such as {'uniform': [0.5, 0.99]}, got [0.1, 0.9]",
    ),
    "misspelt part of halving": (
        {"halving": {"metrik": "loss_epoch"}},
        "halving: unknown name 'metrik': did you mean 'metric'?",
    ),
    "unknown field like none": ({"zzz": 1}, "unknown field 'zzz'"),
    "misspelt field alone": (
        {"learning_rates": LEFT_OUT, "learning_rate": 0.1},
        "unknown field 'learning_rate': did you mean 'learning_rates'?",
    ),
    "misspelt batch count alone": (
        {"batch_counts": LEFT_OUT, "batch_count": 2},
        "unknown field 'batch_count': did you mean 'batch_counts'?",
    ),
    "misspelt budget alone": ({"epochs": LEFT_OUT, "step": 3}, "unknown field 'step': did you mean 'steps'?"),
    "name of another program": (
        {"learning_rates": LEFT_OUT, "lr": 0.1},
        "unknown field 'lr': did you mean 'learning_rates'?",
    ),
    "hyperparameter as a field": (
        {"momentum": 0.9},
        "unknown field 'momentum': it is a hyperparameter of optimizers, so write hyper={'momentum': [0.9]}",
    ),
    "switch of an optimizer as a field": (
        {"nesterov": True},
        "unknown field 'nesterov': it is a hyperparameter of optimizers, so write optimizer_args={'nesterov': True}",
    ),
    "argument of the problem as a field": (
        {"num_inputs": 3},
        "unknown field 'num_inputs': it is an argument of the problem, so write problem_args={'num_inputs': 3}",
    ),
    "zipped axis": ({"zipped": [["learning_rate", "momentum"]]}, "zipped: unknown axis 'momentum': valid: batch_count, "),
    "zipped lengths": (
        {"zipped": [["learning_rate", "seed"]], "seeds": [0, 1]},
        "zipped: zipped axes must have one length, got learning_rate: 1, seed: 2",
    ),
    "zipped twice": ({"zipped": [["learning_rate", "seed"], ["seed"]]}, "zipped: 'seed' is zipped twice"),
    "stop at an unknown metric": (
        {"stop": {"validation_los": 1.0}},
        "stop: unknown metric to stop at 'validation_los': did you mean 'validation_loss'?",
    ),
    "stop at a metric that the problem does not have": (
        {"stop": {"validation_accuracy": 0.9}, "held_out": 0.2},
        "stop: the runs have no validation_accuracy to stop at: they have distance, excess_loss, validation_loss",
    ),
    "stop along with observables": (
        {"stop": {"distance": 1.0}, "observe": ["sharpness"]},
        "stop: cannot be given together with observe",
    ),
    "stop without held-out samples": (
        {"stop": {"validation_loss": 1.0}},
        "stop: the runs have no validation_loss to stop at: no samples are held out: give held_out, such as held_out=0.2",
    ),
    "stop at a metric within epochs only": (
        {"stop": {"train_loss": 1.0}},
        "stop: the runs have no train_loss to stop at: it is measured only with evaluate_every, such as evaluate_every=0.25",
    ),
    "stop at a mean over an epoch": ({"stop": {"loss_epoch": 1.0}}, "stop: a run cannot stop at loss_epoch"),
    "stop at a target that is not finite": (
        {"stop": {"validation_loss": math.nan}, "held_out": 0.2},
        "stop: the target of validation_loss must be finite, got nan",
    ),
    "stop at two metrics": (
        {"stop": {"validation_loss": 1.0, "train_loss": 1.0}},
        "stop: must have one metric and its target, as {'validation_loss': 0.1}, got 2 metrics: validation_loss, train_loss",
    ),
    "stop at none": ({"stop": {}}, "stop: must have one metric and its target, as {'validation_loss': 0.1}, got none"),
    "zipped names that are no group": ({"zipped": ["seed"]}, "zipped.0: must be a list, got 'seed'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_in_one_line_by_field_value_and_nearest_name(mistake):
    changed, beginning = MISTAKES[mistake]
    message = refusal(**changed)
    assert message.startswith(beginning)
    assert message.count("; ") == 0  # it is the only mistake


def test_all_mistakes_are_said_at_once():
    message = refusal(
        problem="least_square", dtype="float16", seeds=[-1], orders="reshufle", optimizer="addam", batch_counts=LEFT_OUT,
        learning_rates=-1, schedules="cosin", epochs=0, eval_interval=0, record="all", reference_batch_count=3, draws=1,
        colour="red",
    )  # fmt: skip
    named = {clause.split(":")[0].split(".")[0] for clause in message.split("; ")}
    wrong = {"problem", "dtype", "seeds", "orders", "optimizers", "batch_sizes", "learning_rates", "schedules", "epochs"}
    assert named == wrong | {"eval_interval", "record", "reference_batch_count", "draws", "unknown field 'colour'"}


def test_a_field_that_is_wrong_makes_no_other_field_look_wrong():
    message = refusal(random={"learning_rate": {"uniform": [1, 0]}}, draws=2, learning_rates=LEFT_OUT)
    assert message == "random.learning_rate.uniform: must be a finite interval (low, high) with low < high, got (1.0, 0.0)"
    assert refusal(learning_rates=[-1], zipped=[["learning_rate", "seed"]]) == (
        "learning_rates: must be finite and above 0, got -1.0"
    )
    assert refusal(batch_rules={"learning_rate": "square"}, reference_batch_count=2).startswith("batch_rules: ")


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (range(3), (0, 1, 2)),
        (np.arange(3), (0, 1, 2)),
        (jnp.arange(3), (0, 1, 2)),
        ((0, 1, 2), (0, 1, 2)),
        (iter([0, 1, 2]), (0, 1, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_axis_may_be_any_sequence_range_or_array(given, plain):
    seeds = study(seeds=given).seeds
    assert seeds == plain
    assert {type(seed) for seed in seeds} == {int}


SINGLE = [3, 3.0, np.int64(3), np.array(3), jnp.asarray(3)]


@pytest.mark.parametrize("given", SINGLE, ids=lambda value: type(value).__name__)
def test_a_single_value_is_an_axis_of_one(given):
    counts = study(batch_counts=given).batch_counts
    assert counts == (3,)
    assert type(counts[0]) is int


@pytest.mark.parametrize("field", ["seeds", "data_seeds", "init_seeds", "order_seeds"])
@pytest.mark.parametrize("given", SINGLE, ids=lambda value: type(value).__name__)
def test_a_number_of_seeds_is_refused_for_it_may_mean_two_things(field, given):
    assert refusal(**{field: given}) == (
        f"{field}: 3 can mean one seed or the number of seeds: write [3] for the seed 3, or range(3) for 3 seeds from 0 "
        "(0:3 after --set)"
    )


def test_rates_of_any_number_type_become_floats():
    # 2**-3 is the same in float32 and float64.
    for given in (0.125, np.float64(0.125), np.float32(0.125), np.asarray([0.125]), jnp.asarray(0.125)):
        rates = study(learning_rates=given).learning_rates
        assert rates == (0.125,)
        assert type(rates[0]) is float


def test_optimizer_is_short_for_optimizers_of_one():
    assert study(optimizer="adam") == study(optimizers=["adam"])
    assert study(optimizer="adam").optimizers == ("adam",)
    assert study(optimizers=["sgd", "adam"]).replaced(optimizer="lion").optimizers == ("lion",)


RICH = {
    "orders": ["fixed", "flip_flop"],
    "optimizers": ["sgd", "momentum"],
    "optimizer_args": {"nesterov": True},
    "hyper": {"momentum": [0, 0.9]},
    "random": {"learning_rate": {"log_uniform": [1e-4, 1]}},
    "draws": 2,
    "draw_seed": 7,
    "learning_rates": LEFT_OUT,
    "zipped": [["order", "optimizer"]],
    "batch_rules": [{}, {"learning_rate": "sqrt", "momentum": "half_life"}],
    "reference_batch_count": 4,
    "schedules": ["linear", "wsd(0.1, 0.2)"],
    "record": "epoch",
}
"""A study with something in every field."""


@pytest.mark.parametrize("changed", [{}, RICH], ids=["few fields", "many fields"])
def test_a_study_comes_back_from_its_json(changed):
    example = study(**changed)
    text = json.dumps(example.resolved())
    again = Study(**json.loads(text))
    assert again == example
    assert again.identity == example.identity
    assert set(example.resolved()) == set(Study.model_fields)


def test_arguments_that_json_spells_otherwise_come_back_equal(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    args = {"path": str(tmp_path / "rows.csv"), "targets": ("b", "c"), "num_hidden": 3}
    example = study(problem="from_file", problem_args=args)
    assert Study(**json.loads(json.dumps(example.resolved()))) == example


def used(example):
    """The resolved study without the fields that came after results had been stored, where they are not used."""
    later = ("problem_axes", "steps", "samples", "evaluate_every", "observe", "observe_batches", "observe_every", "stop")
    later += ("keep", "start", "start_select", "keep_state", "start_epoch", "start_state")
    later += ("schedules", "batch_rules", "reference_batch_count", "reference_batch_size", "halving")
    return {name: value for name, value in example.resolved().items() if value not in (None, {}) or name not in later}


def test_the_identity_is_the_hash_of_the_resolved_study_in_sorted_json():
    example = study()
    plain = json.loads(
        json.dumps(used(example)), parse_float=lambda text: int(float(text)) if float(text) % 1 == 0 else float(text)
    )
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    assert example.identity == hashlib.sha256(text.encode()).hexdigest()


def test_a_study_stored_before_some_fields_came_has_the_identity_it_had():
    example = study()
    assert StudyFields(**used(example)).identity == example.identity


def test_the_identity_knows_no_order_of_fields_and_no_spelling_of_numbers():
    example = study(**RICH)
    assert Study(**dict(reversed(fields(**RICH).items()))).identity == example.identity
    spelled = {
        "seeds": [1],
        "learning_rates": [1],
        "hyper": {"momentum": [0, 1]},
        "problem_args": {"num_samples": 60, "noise": 2},
    }
    respelled = {
        "seeds": np.asarray([1.0]),
        "learning_rates": 1.0,
        "hyper": {"momentum": np.asarray([0.0, 1.0])},
        "problem_args": {"noise": 2.0, "num_samples": 60},
    }
    assert study(**spelled).identity == study(**respelled).identity
    # But not of a truth for a number.
    assert study(optimizer_args={"nesterov": True}).identity != study(optimizer_args={"nesterov": 1}).identity


def test_the_dimensions_do_not_follow_the_order_in_which_hyperparameters_are_named():
    # The identity of the two is the same, so one may go on with the other's chunks: their cells must be the same.
    first = study(optimizer="adam", hyper={"b1": [0.8, 0.9], "b2": [0.9, 0.99, 0.999]})
    other = study(optimizer="adam", hyper={"b2": [0.9, 0.99, 0.999], "b1": [0.8, 0.9]})
    assert first.identity == other.identity
    ours, theirs = cells(first, 60), cells(other, 60)
    assert [dim.name for dim in ours.dims] == [dim.name for dim in theirs.dims]
    for axis in ("b1", "b2"):
        np.testing.assert_array_equal(ours.values[axis], theirs.values[axis])


def test_the_identity_changes_with_every_field(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2\n" * 60)
    base = {"random": {"momentum": {"uniform": [0, 1]}}, "draws": 2}
    base |= {"batch_rules": {"learning_rate": "linear"}, "reference_batch_count": 2}
    base |= {"batch_counts": LEFT_OUT, "batch_sizes": [20], "optimizer_args": {"nesterov": True}, "seeds": [0, 1]}
    changes = [
        {"held_out": 0.25},
        {"problem": "noisy_quadratic"},
        {"problem_args": {"num_samples": 61}},
        {"problem_axes": {"noise": [2.0]}},
        {"dtype": "float64"},
        {"seeds": [0, 2]},
        {"data_seeds": [0]},
        {"init_seeds": [0]},
        {"order_seeds": [0]},
        {"random": {"momentum": {"uniform": [0, 0.5]}}},
        {"draws": 3},
        {"draw_seed": 1},
        {"drop_last": True},
        {"batch_sizes": LEFT_OUT, "batch_counts": [20]},
        {"batch_sizes": [21]},
        {"orders": ["reshuffle"]},
        {"optimizers": ["nesterov"]},
        {"optimizer_args": {"nesterov": False}},
        {"learning_rates": [0.2]},
        {"hyper": {"momentum": [0.9]}, "random": {"learning_rate": {"uniform": [0, 1]}}, "learning_rates": LEFT_OUT},
        {"batch_rules": {"learning_rate": "sqrt"}},
        {"batch_rules": {"a name": {"learning_rate": "linear"}}},
        {"reference_batch_count": 3},
        {"reference_batch_count": None, "reference_batch_size": 3},
        {"schedules": "linear"},
        {"epochs": 3},
        {"epochs": LEFT_OUT, "steps": 3},
        {"epochs": LEFT_OUT, "samples": 60},
        {"evaluate_every": 2},
        {"evaluate_every": 0.5},
        {"observe": ["sharpness"]},
        {"observe": ["sharpness"], "observe_every": 2},
        {"observe_batches": ["sharpness"], "observe_every": 2},
        {"stop": {"distance": 0.5}},
        {"keep": "final"},
        {"keep": [0, 2]},
        {"keep": "final", "keep_state": True},
        {"start": "results/parent"},
        {"start": "results/parent", "start_select": {"seed": 0}},
        {"start": "results/parent", "start_epoch": 1},
        {"start": "results/parent", "start_state": True},
        {"halving": {"metric": "distance"}},
        {"halving": {"metric": "distance", "eta": 2}},
        {"eval_interval": 2},
        {"record": "epoch"},
        {"precision": "bfloat16"},
        {"zipped": [["seed"]]},
    ]
    assert {name for change in changes for name in change} == set(Study.model_fields)
    identities = [study(**(base | change)).identity for change in [{}, *changes]]
    assert len(set(identities)) == len(changes) + 1


def test_a_study_is_frozen():
    frozen = study()
    with pytest.raises(TypeError, match=r"^a Study cannot be changed; make a changed copy: study.replaced\(epochs=3\)$"):
        frozen.epochs = 3
    assert frozen.epochs == 2


def test_replaced_fields_are_validated_anew():
    assert study().replaced(epochs=5).epochs == 5
    with pytest.raises(InputError, match="unknown order 'fixd': did you mean 'fixed'"):
        study().replaced(orders="fixd")


def draws_of(distribution, axis="learning_rate", draws=400, **others):
    drawn = study(learning_rates=LEFT_OUT, random={axis: distribution, **others}, draws=draws)
    return cells(drawn, 60).dims[[dim.name for dim in cells(drawn, 60).dims].index("draw")].values[axis]


def test_draws_are_the_same_each_time_and_do_not_depend_on_the_other_random_axes():
    alone = draws_of({"log_uniform": [1e-4, 1]})
    np.testing.assert_array_equal(alone, draws_of({"log_uniform": [1e-4, 1]}))
    np.testing.assert_array_equal(alone, draws_of({"log_uniform": [1e-4, 1]}, momentum={"uniform": [0, 1]}))
    # Nor is one axis's draw another's.
    both = {"learning_rate": {"uniform": [0.5, 1]}, "momentum": {"uniform": [0.5, 1]}}
    drawn = cells(study(learning_rates=LEFT_OUT, random=both, draws=50), 60).values
    assert not np.isin(drawn["learning_rate"], drawn["momentum"]).any()


def test_more_draws_begin_with_the_fewer_and_another_seed_draws_others():
    np.testing.assert_array_equal(draws_of({"uniform": [0.5, 1]}, draws=10), draws_of({"uniform": [0.5, 1]}, draws=90)[:10])
    drawn = {"learning_rates": LEFT_OUT, "random": {"learning_rate": {"uniform": [0.5, 1]}}, "draws": 9}
    assert not np.isin(cells(study(**drawn, draw_seed=1), 60).rate, cells(study(**drawn), 60).rate).any()


def test_draws_lie_in_their_interval_at_the_quantiles_of_their_distribution():
    # Of n = 400 draws a share p has standard error sqrt(p (1 - p) / n) <= 0.025; four of them are allowed.
    log = draws_of({"log_uniform": [1e-4, 1]})
    assert ((log >= 1e-4) & (log <= 1)).all()
    for power, share in ((-3, 0.25), (-2, 0.5), (-1, 0.75)):
        assert abs(np.mean(log < 10.0**power) - share) < 0.1
    even = draws_of({"uniform": [2, 6]})
    assert ((even >= 2) & (even <= 6)).all()
    for value, share in ((3, 0.25), (4, 0.5), (5, 0.75)):
        assert abs(np.mean(even < value) - share) < 0.1
    chosen = draws_of({"choice": [0.1, 0.2, 0.4]})
    for value in (0.1, 0.2, 0.4):
        assert abs(np.mean(chosen == value) - 1 / 3) < 0.1


def test_listed_values_are_the_draws_as_they_are():
    own = study(learning_rates=None, random={"learning_rate": {"values": [0.3, 0.1, 0.3]}}, draws=3)
    drawn = next(dim for dim in cells(own, 60).dims if dim.name == "draw")
    assert drawn.values["learning_rate"].tolist() == [0.3, 0.1, 0.3]
    with pytest.raises(InputError, match="must be 3, the number of values of 'learning_rate' in random, got 2"):
        study(learning_rates=None, random={"learning_rate": {"values": [0.3, 0.1, 0.3]}}, draws=2)


def test_random_batch_counts_are_whole_numbers():
    drawn = study(batch_counts=LEFT_OUT, random={"batch_count": {"log_uniform": [1, 60]}}, draws=50)
    counts = cells(drawn, 60).batch_count
    assert counts.dtype.kind == "i"
    assert counts.min() >= 1
    assert counts.max() <= 60
    assert len(set(counts)) > 5


def test_pointers_name_what_they_point_at():
    pointing = study(
        problem="jaxsgd.problems:noisy_quadratic", orders=["jaxsgd.order:reshuffle"], optimizer="optax:sgd",
        schedules="jaxsgd.schedule:cosine", hyper={"momentum": [0.9]},
    )  # fmt: skip
    assert pointing.subject().problem.name == "noisy_quadratic"
    assert pointing.subject().num_samples == 60
    assert order_named("jaxsgd.order:reshuffle") is ORDERS["reshuffle"]
    assert plan(pointing).programs[0].optimizer == "optax:sgd"


def test_a_sweep_of_pointers_is_the_sweep_of_the_names():
    named = study(orders=["reshuffle"], optimizer="sgd", schedules="cosine")
    pointed = study(
        problem="jaxsgd.problems.linear_model:least_squares", orders=["jaxsgd.order:reshuffle"], optimizer="optax:sgd",
        schedules="jaxsgd.schedule:cosine",
    )  # fmt: skip
    assert jaxsgd.sweep(pointed).loss.values.tobytes() == jaxsgd.sweep(named).loss.values.tobytes()


def a_users_order(key, epoch, num_samples):
    """The samples backwards."""
    return num_samples - 1 - jnp.arange(num_samples)


def a_users_optimizer(learning_rate, strength=1.0):
    return optax.sgd(learning_rate * strength)


def test_a_users_own_order_and_optimizer():
    own = study(
        orders=["tests.study.test_study:a_users_order"], optimizer="tests.study.test_study:a_users_optimizer",
        hyper={"strength": [1, 2]}, epochs=1,
    )  # fmt: skip
    loss = jaxsgd.sweep(own).loss.squeeze()
    # Weights start at 0, so the first batch's loss is the mean of t^2 / 2 over its samples: the last half of them, backwards.
    _, target = own.subject().problem.sample_data(jaxsgd.streams(jax.random.key(0)).data)
    target = np.asarray(target)
    np.testing.assert_allclose(loss.sel(batch=0), np.mean(target[30:] ** 2 / 2), rtol=1e-5)
    # The strength multiplies the rate: from 1 to 2 the second batch's loss goes where twice the rate takes it.
    optimizer = optax.sgd(0.2)
    twice = jaxsgd.simulate(
        own.subject().problem, jax.random.key(0), optimizer=optimizer, epochs=1, batch_count=2, order=a_users_order
    )
    np.testing.assert_allclose(loss.sel(strength=2), twice.loss[0], rtol=1e-5)
    assert not np.isclose(loss.sel(strength=1, batch=1), twice.loss[0, 1], rtol=1e-3)


def test_fields_of_a_file_are_read_without_looking_anything_up(tmp_path, monkeypatch):
    (tmp_path / "trap_of_study_fields.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()\nthing = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    pointer = "trap_of_study_fields:thing"
    given = fields(problem=pointer, orders=[pointer], optimizers=[pointer], schedules=pointer)
    assert StudyFields(**given).problem == pointer
    assert not (tmp_path / "sprung").exists()
    # The trap works: a Study does look them up.
    with pytest.raises(InputError):
        Study(**given)
    assert (tmp_path / "sprung").exists()


def test_a_distribution_can_be_given_as_one():
    assert study(hyper={}, random={"momentum": Distribution(uniform=(0, 1))}, draws=2) == study(
        random={"momentum": {"uniform": [0, 1]}}, draws=2
    )
