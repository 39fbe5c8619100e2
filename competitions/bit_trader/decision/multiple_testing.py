"""How much of the best of many tried rules is the trying: two corrections from the literature."""

import numpy as np
import numpy.typing as npt
from scipy.stats import kurtosis, norm, skew

FloatArray = npt.NDArray[np.float64]
REALITY_CHECK_SEED = 2000
RESAMPLES = 2000
EULER_MASCHERONI = float(np.euler_gamma)


def reality_check(log_growth: FloatArray) -> float:
    """Chance of a best rule as good as the one seen if no rule were better than never buying (White 2000).

    Samples are resampled jointly for all rules, so that rules that hardly differ count hardly more than one.

    Parameters
    ----------
    log_growth : (rules, n), each rule's log growth of each sample; never buying is 0.

    Returns
    -------
    p-value, at least 1 / (resamples + 1); 1 when no rule gained.
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
        # How often each sample is drawn, for all rules alike.
        drawn = generator.multinomial(n, np.full(n, 1 / n), size=count)
        surplus = drawn @ log_growth.T - total
        reached += int((surplus.max(axis=1) >= total.max()).sum())
    return (reached + 1) / (RESAMPLES + 1)


def sharpe(log_growth: FloatArray) -> FloatArray:
    """Mean over standard deviation along the last axis, not annualised; 0 where nothing varies."""
    mean, spread = log_growth.mean(axis=-1), log_growth.std(axis=-1)
    ratio: FloatArray = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    return ratio


def deflated_sharpe(chosen: FloatArray, tried: FloatArray) -> float:
    """Probability that the chosen rule's Sharpe ratio is above what the best of as many lucky ones has.

    Bailey and Lopez de Prado (2014), for independent rules: with rules that resemble each other it is the
    stricter of the two corrections.

    Parameters
    ----------
    chosen : (n,) log growth of each sample under the chosen rule.
    tried : (rules,) Sharpe ratios of all rules tried, the chosen one among them.

    Returns
    -------
    0 to 1; 0 for a rule that never trades.
    """
    n, rules = len(chosen), len(tried)
    if n < 2 or chosen.std() == 0:
        return 0.0
    lucky = 0.0
    if rules > 1:
        quantiles = norm.ppf([1 - 1 / rules, 1 - 1 / (rules * np.e)])
        lucky = float(tried.std() * ((1 - EULER_MASCHERONI) * quantiles[0] + EULER_MASCHERONI * quantiles[1]))
    ratio = float(sharpe(chosen))
    spread = 1 - skew(chosen) * ratio + (kurtosis(chosen, fisher=False) - 1) / 4 * ratio**2
    return float(norm.cdf((ratio - lucky) * np.sqrt(n - 1) / np.sqrt(max(spread, 1e-12))))
