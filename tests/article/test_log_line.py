"""The article's log format, read and written, and what its twenty lines say."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.article.log_line import LogLine, format_line, parse_log, printed_losses, printed_text, window_line


def test_the_articles_lines_come_back_byte_for_byte():
    assert "".join(f"{format_line(line)}\n" for line in parse_log(printed_text())) == printed_text()


def test_the_article_printed_ten_epochs_twice_each():
    lines = parse_log(printed_text())
    assert [(line.epoch, line.iteration) for line in lines] == [(e, i) for e in range(1, 11) for i in (5, 10)]
    assert {(line.batch_count, line.seconds, line.learning_rate) for line in lines} == {(10, 1.0, 1e-3)}


def test_window_lines_are_the_articles():
    # Two windows of 5 in an epoch of 10 batches; the losses and the second are the article's.
    losses = printed_losses().ravel()
    lines = [format_line(window_line(k, 5, 10, 1.9, loss, 1e-3)) for k, loss in enumerate(losses)]
    assert "\n".join(lines) + "\n" == printed_text()


def test_windows_that_cross_epochs_are_told_by_where_they_end():
    # 7 batches an epoch printed every 3: they end after batches 3, 6, 9, 12, which is epoch 2, batches 2 and 5.
    ends = [window_line(k, 3, 7, 0.0, 1.0, 0.1)[:2] for k in range(4)]
    assert ends == [(1, 3), (1, 6), (2, 2), (2, 5)]


def test_a_window_of_many_epochs_ends_with_the_last_batch_of_one():
    assert window_line(0, 20, 10, 0.0, 1.0, 0.1)[:2] == (2, 10)


@pytest.mark.parametrize(("rate", "shown"), [(0.05, "0.0500"), (1e-4, "0.0001"), (2e-6, "2e-06"), (3e20, "3e+20")])
def test_small_and_large_rates_stay_readable(rate, shown):
    assert format_line(LogLine(1, 1, 1, 0, 1.0, rate)).endswith(f"| lr {shown}")


def test_a_line_of_another_form_is_named():
    with pytest.raises(jaxsgd.InputError, match="log line 2 must look like"):
        parse_log("| epoch 1 |  iter 5 / 10 | time 1[s] | loss 2.3137 | lr 0.0010\nepoch 2: loss 2.3\n")


def test_a_number_that_is_none_is_named():
    with pytest.raises(jaxsgd.InputError, match="log line 1"):
        parse_log("| epoch 1 |  iter 5 / 10 | time 1[s] | loss x.y | lr 0.0010\n")


def test_what_the_articles_lines_measure():
    measured = jaxsgd.stripes(printed_losses(), 1)
    # From the lines by hand: the odd ones fall from 2.3137 to 2.3114 and the even ones from 2.2976 to 2.2952 in 9 epochs,
    # 2.56e-4 and 2.67e-4 per epoch. Their means are 2.31255 and 2.29637; of the difference of 0.01618, half an epoch's fall
    # (1.3e-4) is trend, for the odd window ends half an epoch before the even one.
    np.testing.assert_allclose(measured.slope, [-2.56e-4, -2.67e-4], atol=5e-6)
    assert measured.stripe_count == 2
    assert measured.gap == pytest.approx(0.01618 - 1.3e-4, abs=2e-5)
    # Rounding to four digits leaves deviations of 3e-5 around levels that are 0.008 from their mean.
    assert 1 - 5e-5 < measured.stripe_index <= 1


def test_fewer_epochs_of_the_articles_lines():
    np.testing.assert_array_equal(printed_losses(2), [[2.3137, 2.2976], [2.3135, 2.2973]])
