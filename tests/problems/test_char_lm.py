"""The small transformer on Python's own documentation."""

import math
import pydoc_data.topics

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.problems.char_lm import ALPHABET, documentation, transformer
from jaxsgd.study.subject import Subject

KEY = jax.random.key(0)
SMALL = {"context": 16, "width": 16, "num_heads": 2}


def expected_logits(params, characters):
    """The logits of one window, [C, 96], place by place and head by head."""

    def normalized(norm, x):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * norm.scale + norm.shift

    x = [params.characters[character] + place for character, place in zip(characters, params.places, strict=True)]
    for block in params.blocks:
        normal = [normalized(block.before_attention, row) for row in x]
        after = []
        for place, row in enumerate(normal):
            added = np.zeros_like(row)
            for head in range(block.queries.shape[1]):
                query = row @ block.queries[:, head]
                scores = [query @ (other @ block.keys[:, head]) / math.sqrt(len(query)) for other in normal[: place + 1]]
                weights = np.exp(scores) / np.exp(scores).sum()
                values = [other @ block.values[:, head] for other in normal[: place + 1]]
                added += (weights @ np.array(values)) @ block.attended[head]
            after.append(x[place] + added)
        x = []
        for row in after:
            hidden = normalized(block.before_network, row) @ block.wide + block.wide_bias
            # The tanh form of the GELU, as in GPT-2.
            hidden = hidden / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)))
            x.append(row + hidden @ block.narrow + block.narrow_bias)
    return np.array([normalized(params.last, row) @ params.output for row in x])


def test_the_loss_is_the_mean_cross_entropy_of_attention_written_out_in_loops(x64):
    problem = jaxsgd.problems.char_lm(3, context=5, width=4, depth=2, num_heads=2, dtype="float64")
    # Away from the start, where scales are 1, and shifts and biases 0.
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: np.asarray(leaf) + 0.1 * rng.standard_normal(leaf.shape), jax.jit(problem.init)(KEY))
    expected, right = [], []
    for window in problem.data:
        logits = expected_logits(params, window[:-1])
        wanted = logits[np.arange(5), window[1:]]
        expected.append(np.mean(np.log(np.exp(logits).sum(axis=1)) - wanted))
        right.append(np.mean(logits.argmax(axis=1) == window[1:]))
    both = jax.jit(lambda params, windows: (problem.loss(params, windows), problem.accuracy(params, windows)))
    loss, accuracy = both(params, problem.data)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(accuracy, right)


def test_no_place_sees_a_later_character():
    problem = jaxsgd.problems.char_lm(1, **SMALL)
    characters = problem.data[:, :-1].copy()
    logits = jax.jit(lambda characters: transformer(problem.init(KEY), characters)[0])
    before = np.asarray(logits(characters))
    characters[0, 9] += 1
    after = np.asarray(logits(characters))
    np.testing.assert_array_equal(before[:9], after[:9])
    assert (np.abs(before[9:] - after[9:]).max(axis=1) > 1e-4).all()


def test_windows_follow_one_another_through_the_help_of_python():
    windows = jaxsgd.problems.char_lm(300, context=32).data
    assert windows.shape == (300, 33)
    np.testing.assert_array_equal(windows[1:, 0], windows[:-1, -1])
    read = "".join(ALPHABET[character] for character in windows[:, :-1].reshape(-1))
    topics = pydoc_data.topics.topics
    text = "\n\n".join(topics[name] for name in sorted(topics))
    assert read == "".join(character if character in ALPHABET else "?" for character in text[: 300 * 32])
    assert len(documentation()) == len(text) > 300_000


def test_the_fingerprint_of_the_samples_follows_the_text(monkeypatch):
    def fingerprint():
        documentation.cache_clear()
        return Subject.of(jaxsgd.problems.char_lm(10), {}, "float32").data_fingerprint

    first = fingerprint()
    assert fingerprint() == first
    monkeypatch.setitem(pydoc_data.topics.topics, min(pydoc_data.topics.topics), "Another text.\n")
    other = fingerprint()
    documentation.cache_clear()
    assert other != first


def test_the_default_has_fewer_than_20_000_parameters():
    params = jax.eval_shape(jaxsgd.problems.char_lm().init, KEY)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 19_808


def test_training_learns_more_than_the_frequencies_of_the_characters():
    problem = jaxsgd.problems.char_lm(2048, **SMALL)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(0.01), epochs=4, batch_count=64, order="reshuffle")
    share = np.bincount(problem.data[:, 1:].reshape(-1)) / problem.data[:, 1:].size
    entropy = -np.sum(share[share > 0] * np.log(share[share > 0]))
    # Equally likely characters cost log 96 = 4.56, the known frequencies alone about 3.2.
    assert run.epoch_loss[-1] < 2.6 < 3.0 < entropy < run.loss[0, 0]


def test_a_width_that_the_heads_do_not_divide_and_too_many_windows_are_refused():
    with pytest.raises(jaxsgd.InputError, match=r"^width must be a multiple of num_heads, 3, got 16$"):
        jaxsgd.problems.char_lm(10, width=16, num_heads=3)
    most = (len(documentation()) - 1) // 100
    with pytest.raises(jaxsgd.InputError, match=rf"^num_samples must be .* from 1 to {most} \(the windows of the text\)"):
        jaxsgd.problems.char_lm(most + 1, context=100)
    assert len(jaxsgd.problems.char_lm(most, context=100).data) == most
