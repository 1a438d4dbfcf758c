"""Quantiles of Student's t with the standard library: scipy is not in an engine's environment."""

import math
from statistics import NormalDist


def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t distribution.

    G. W. Hill, Algorithm 396: Student's t-quantiles, Communications of the ACM 13 (1970) 619-620;
    six significant digits from 5 degrees of freedom on, three and more for 3 and 4, exact below.

    Args:
        probability: of a smaller value, 0.5 < probability < 1.
        degrees: degrees of freedom, at least 1.
    """
    if not 0.5 < probability < 1.0 or degrees < 1:
        raise ValueError(f"t_quantile({probability}, {degrees}): out of range")
    n = float(degrees)
    two_tailed = 2.0 * (1.0 - probability)
    if degrees == 1:
        return 1.0 / math.tan(two_tailed * math.pi / 2.0)
    if degrees == 2:
        return math.sqrt(2.0 / (two_tailed * (2.0 - two_tailed)) - 2.0)
    a = 1.0 / (n - 0.5)
    b = 48.0 / a**2
    c = ((20700.0 * a / b - 98.0) * a - 16.0) * a + 96.36
    d = ((94.5 / (b + c) - 3.0) / b + 1.0) * math.sqrt(a * math.pi / 2.0) * n
    x = d * two_tailed
    y = x ** (2.0 / n)
    if y > 0.05 + a:  # the asymptotic inverse expansion about the normal
        x = NormalDist().inv_cdf(two_tailed / 2.0)
        y = x**2
        if degrees < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b
        y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x
        y = math.expm1(a * y**2)
    else:
        y = (
            (1.0 / (((n + 6.0) / (n * y) - 0.089 * d - 0.822) * (n + 2.0) * 3.0) + 0.5 / (n + 4.0))
            * y
            - 1.0
        ) * (n + 1.0) / (n + 2.0) + 1.0 / y
    return math.sqrt(n * y)
