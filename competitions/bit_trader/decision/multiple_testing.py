"""Corrections for multiple testing: the best of many rules without skill still looks good."""

import numpy as np
from scipy.stats import kurtosis, norm, skew

from common.learn.arrays import Float64

REALITY_CHECK_SEED = 2000
RESAMPLES = 2000
EULER_MASCHERONI = float(np.euler_gamma)


def reality_check(log_growth: Float64) -> float:
    """Reality check (White 2000): p-value of the best rule if in truth no rule beats never buying.

    Samples are resampled jointly for all rules, so that near-identical rules count as little more than one.

    Parameters
    ----------
    log_growth : (rules, n) log growth of each sample under each rule; never buying is 0.

    Returns
    -------
    p-value, at least 1 / (resamples + 1); 1 if no rule gained.
    """
    rules, n = log_growth.shape
    if rules == 0 or n == 0:
        return 1.0
    total = log_growth.sum(axis=1)
    if total.max() <= 0:
        return 1.0
    generator = np.random.default_rng(REALITY_CHECK_SEED)
    reached, block = 0, max(1, 4_000_000 // n)
    for start in range(0, RESAMPLES, block):
        count = min(block, RESAMPLES - start)
        # (count, n): how often each resample draws each sample, the same for all rules.
        drawn = generator.multinomial(n, np.full(n, 1 / n), size=count)
        surplus = drawn @ log_growth.T - total
        reached += int((surplus.max(axis=1) >= total.max()).sum())
    return (reached + 1) / (RESAMPLES + 1)


def sharpe(log_growth: Float64) -> Float64:
    """Mean over standard deviation along the last axis, not annualised; 0 where nothing varies."""
    mean, spread = log_growth.mean(axis=-1), log_growth.std(axis=-1)
    ratio: Float64 = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    return ratio


def deflated_sharpe(selected: Float64, tried: Float64) -> float:
    """Deflated Sharpe ratio (Bailey and Lopez de Prado 2014).

    The probability that the selected rule's Sharpe ratio exceeds the expected maximum of as many rules
    without skill. It assumes independent rules; for similar rules it is the stricter of the two corrections.

    Parameters
    ----------
    selected : (n,) log growth of each sample under the selected rule.
    tried : (rules,) Sharpe ratios of all rules tried, including the selected one.

    Returns
    -------
    0 to 1; 0 for a rule that never trades.
    """
    n, rules = len(selected), len(tried)
    if n < 2 or selected.std() == 0:
        return 0.0
    expected_maximum = 0.0
    if rules > 1:
        quantiles = norm.ppf([1 - 1 / rules, 1 - 1 / (rules * np.e)])
        expected_maximum = float(
            tried.std() * ((1 - EULER_MASCHERONI) * quantiles[0] + EULER_MASCHERONI * quantiles[1])
        )
    ratio = float(sharpe(selected))
    spread = 1 - skew(selected) * ratio + (kurtosis(selected, fisher=False) - 1) / 4 * ratio**2
    return float(norm.cdf((ratio - expected_maximum) * np.sqrt(n - 1) / np.sqrt(max(spread, 1e-12))))
