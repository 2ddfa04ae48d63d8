/* schedule_beta.c: the beta distribution's cumulative function and its inverse.
 *
 * One idea: the cumulative function is a continued fraction that converges fast on one side of the mean and, by symmetry, on the
 * other; the inverse is Newton's method held inside a bracket that each step narrows, so that it can not run away where
 * the density is infinite. Formulas: DLMF 8.17; the fraction is evaluated by the method of Lentz (1976). */
#include "nodes/diffusion/schedule_beta.h"
#include <math.h>

/* DLMF 8.17.22. */
static double fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m < 500; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        const double before = value;
        for (int half = 0; half < 2; half++) {
            const double term = half ? odd : even;
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            if (fabs(c) < tiny) c = tiny;
            value *= c * d;
        }
        if (fabs(value - before) <= 1e-16 * fabs(value)) break;
    }
    return value;
}

static double log_beta(double a, double b)
{
    int sign;
    return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
}

double beta_cumulative(double a, double b, double x)
{
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front = exp(a * log(x) + b * log1p(-x) - log_beta(a, b));
    return x < (a + 1) / (a + b + 2) ? front * fraction(a, b, x) / a : 1 - front * fraction(b, a, 1 - x) / b;
}

double beta_quantile(double a, double b, double q, double near)
{
    if (q <= 0) return 0;
    if (q >= 1) return 1;
    if (a == b && q == 0.5) return 0.5; /* exactly: what it is multiplied with may lie on the edge of rounding */
    double low = 0, high = 1, x = near > 0 && near < 1 ? near : 0.5;
    for (int i = 0; i < 100 && high - low > 1e-15; i++) {
        const double error = beta_cumulative(a, b, x) - q;
        if (error > 0) high = x;
        else low = x;
        const double density = exp((a - 1) * log(x) + (b - 1) * log1p(-x) - log_beta(a, b));
        const double next = x - error / density;
        if (fabs(next - x) < 1e-15) break;
        x = next > low && next < high ? next : (low + high) / 2;
    }
    return x;
}
