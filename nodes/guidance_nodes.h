/* guidance_nodes.h: what nodes that emit a MODEL with one more patch share. */
#ifndef NODES_GUIDANCE_NODES_H
#define NODES_GUIDANCE_NODES_H
#include "nodes/guidance_rules.h"
#include "nodes/patch.h"

enum { RULE_NUMBERS = 3 };
/* A patch that follows a rule. */
typedef struct RulePatch {
    const GuidanceRule *rule;
    double number[RULE_NUMBERS];
    float start, end; /* acts while end ≤ σ ≤ start */
} RulePatch;
/* Emits `model` with that rule and these numbers (`count` of them); or as `like` says. */
NodusStatus guidance_emit(NodusCall *call, const Model *model, const GuidanceRule *rule, const double *number, int count);
NodusStatus guidance_emit_part(NodusCall *call, const Model *model, const RulePatch *like);

/* A patch changes no facts of a model. */
NodusStatus guidance_infer(NodusCall *call, const void *args, const NodusFacts *in, NodusFacts *out);
extern const NodusOutput guidance_outputs[1], guidance_patched[1];
#define GUIDANCE_MODEL(Args_) NODUS_IN_LINK("model", Args_, model, "MODEL", "The diffusion model.")
#endif
