/* schedule_beta.h: the beta distribution, as far as a scheduler needs it. */
#ifndef DIFFUSION_SCHEDULE_BETA_H
#define DIFFUSION_SCHEDULE_BETA_H

/* The regularised incomplete beta function I_x(a, b) for 0 ≤ x ≤ 1 and a, b > 0. */
double beta_cumulative(double a, double b, double x);
/* Its inverse: the x with I_x(a, b) = q, for 0 ≤ q ≤ 1. `near`: a guess, for speed only. */
double beta_quantile(double a, double b, double q, double near);
#endif
