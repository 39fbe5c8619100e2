"""Corrections for the number of rules tried: calm without skill, convinced by it."""

import numpy as np
import pytest

from competitions.bit_trader.decision.multiple_testing import deflated_sharpe, reality_check, sharpe


def rules(count: int, samples: int, gain: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(gain, 0.01, size=(count, samples))


def test_rules_without_skill_are_rarely_significant() -> None:
    p_values = np.array([reality_check(rules(30, 150, 0.0, seed)) for seed in range(30)])
    assert (p_values < 0.05).mean() <= 0.2
    assert 0.25 < p_values.mean() < 0.75


def test_a_gain_of_many_standard_errors_is_significant() -> None:
    grown = rules(30, 150, 0.0, 1)
    grown[7] += 0.006
    assert reality_check(grown) < 0.01


def test_more_rules_need_more_and_copies_of_a_rule_do_not() -> None:
    best = rules(1, 150, 0.0012, 3)
    alone = reality_check(best)
    others = rules(200, 150, -0.0001, 4)
    others = others[others.sum(axis=1) < best.sum()]
    assert reality_check(np.concatenate([best, others])) > alone
    assert reality_check(np.repeat(best, 50, axis=0)) == pytest.approx(alone)


def test_nothing_tried_and_nothing_gained() -> None:
    assert reality_check(np.zeros((0, 10))) == 1
    assert reality_check(np.zeros((3, 10))) == 1
    assert reality_check(-np.ones((3, 10))) == 1
    assert deflated_sharpe(np.zeros(10), np.zeros(3)) == 0


def test_one_rule_is_as_likely_as_its_own_t_statistic_says() -> None:
    grown = rules(1, 400, 0.001, 5)[0]
    ratio = float(sharpe(grown))
    from scipy.stats import norm

    assert deflated_sharpe(grown, np.array([ratio])) == pytest.approx(norm.cdf(ratio * 20), abs=0.02)


def test_the_more_the_rules_tried_differ_the_less_is_left() -> None:
    grown = rules(1, 400, 0.001, 6)[0]
    few, many = np.linspace(-0.05, 0.05, 4), np.tile(np.linspace(-0.05, 0.05, 4), 100)
    p_values = [deflated_sharpe(grown, tried) for tried in (np.zeros(4), few, many)]
    assert p_values[0] > p_values[1] > p_values[2]


def test_the_expected_best_of_many_is_that_of_the_article() -> None:
    """Bailey and Lopez de Prado (2014): the largest of N standard normal numbers, to a few per cent."""
    generator = np.random.default_rng(7)
    tried = generator.normal(size=100)
    tried = (tried - tried.mean()) / tried.std()
    largest = generator.normal(size=(4000, 100)).max(axis=1).mean()
    grown = generator.normal(size=4001)
    grown = (grown - grown.mean()) / grown.std() + largest  # as good as the luckiest of a hundred
    assert deflated_sharpe(grown, tried) == pytest.approx(0.5, abs=0.45)
    assert deflated_sharpe(grown + 0.2, tried) > 0.9
    assert deflated_sharpe(grown - 0.2, tried) < 0.1
