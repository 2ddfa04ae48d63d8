/* guidance_rules.h: formulas that change how two predictions are combined. */
#ifndef NODES_GUIDANCE_RULES_H
#define NODES_GUIDANCE_RULES_H
#include "nodes/diffusion/combine.h"

/* What a rule sees: arrays of batch·channels·plane numbers. */
typedef struct RuleStep {
    const float *x, *cond, *uncond, *denoised; /* denoised: GUIDANCE_AFTER only */
    float *out;
    int64_t batch, channels, height, width, plane, item; /* plane: height·width, item: channels·plane */
    double sigma, cfg;
    const double *number; /* the patch's own */
    float *memory;        /* keeps from step to step, batch·item numbers; NULL at first */
} RuleStep;

typedef struct GuidanceRule {
    const char *name;
    GuidanceStage stage;
    bool changes_uncond; /* at GUIDANCE_BEFORE: else the positive prediction */
    bool remembers;      /* has a memory; it is emptied when sigma rises */
    NodusStatus (*apply)(RuleStep *step);
} GuidanceRule;

extern const GuidanceRule rule_rescale, rule_renorm, rule_linear, rule_apg, rule_tangential, rule_frequencies, rule_zero_star,
    rule_norm, rule_agree, rule_epsilon, rule_spread;
#endif
