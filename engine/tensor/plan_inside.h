/* plan_inside.h: plans as the plan cache sees them. */
#ifndef TENSOR_PLAN_INSIDE_H
#define TENSOR_PLAN_INSIDE_H
#include "engine/tensor/plan.h"

typedef struct PlanTrace { void (*call)(void *user, const char *pass, const char *text); void *user; } PlanTrace;
NodusStatus plan_new(Device *device, WeightSet *weights, NodusStatus (*build)(void *context, OpGraph *graph), void *context, PlanTrace trace, Plan **out);
Plan *plan_ref(Plan *plan);
#endif
