/* registry.c: the types, nodes, samplers, schedulers, operations and patch classes of an engine.
 *
 * One idea: six lists, each with an index by name. A table that cannot be right (no name, an argument outside its struct, more
 * inputs than a bit set holds) is refused here, so that everything behind may trust it. */
#include "engine/graph/registry.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/graph/descriptor.h"
#include "engine/graph/given.h"
#include "engine/graph/names.h"
#include "engine/graph/value.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 64 /* bits of `wants` */ };

typedef struct List {
    const void **item;
    size_t count, capacity;
    Names names;
} List;

struct Registry {
    pthread_mutex_t lock; /* of sealing: first runs may come from several threads at once */
    bool sealed;
    List types, nodes, samplers, schedulers, ops, patches;
    const PluginLanguage *language;
    NodusType **tensor_types; /* made here, freed here */
    size_t tensor_count, tensor_capacity;
};

static NodusStatus list_add(Registry *registry, List *list, const char *kind, const char *name, const void *item)
{
    if (registry->sealed)
        return nodus_error(NODUS_ERROR_INPUT, "%s %s comes too late: register everything before the engine's first run", kind,
                           name);
    if (names_get(&list->names, name) >= 0)
        return nodus_error(NODUS_ERROR_INPUT, "%s %s is registered twice: rename one of the two", kind, name);
    void *items = list->item;
    if (!memory_reserve(&items, &list->capacity, list->count, sizeof *list->item)) return status_memory();
    list->item = items;
    if (!names_put(&list->names, name, (int32_t)list->count)) return status_memory();
    list->item[list->count++] = item;
    return NULL;
}

static const void *list_get(const List *list, const char *name)
{
    const int32_t index = name ? names_get(&list->names, name) : -1;
    return index < 0 ? NULL : list->item[index];
}

static void list_free(List *list)
{
    memory_free(list->item);
    names_free(&list->names);
}

NodusStatus registry_new(Registry **out)
{
    static const NodusType *const scalars[] = {&value_type_int,    &value_type_float, &value_type_boolean,
                                               &value_type_string, &value_type_combo, &value_type_any};
    static const char *const tensors[] = {"IMAGE", "MASK", "SIGMAS"};
    Registry *registry = memory_alloc(sizeof *registry);
    if (!registry) return status_memory();
    pthread_mutex_init(&registry->lock, NULL);
    NodusStatus status = NULL;
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars && !status; i++) status = registry_add_type(registry, scalars[i]);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors && !status; i++)
        status = registry_add_tensor_type(registry, tensors[i]);
    if (status) registry_free(registry);
    else *out = registry;
    return status;
}

void registry_free(Registry *registry)
{
    if (!registry) return;
    list_free(&registry->types);
    list_free(&registry->nodes);
    list_free(&registry->samplers);
    list_free(&registry->schedulers);
    list_free(&registry->ops);
    list_free(&registry->patches);
    for (size_t i = 0; i < registry->tensor_count; i++) memory_free(registry->tensor_types[i]);
    memory_free(registry->tensor_types);
    pthread_mutex_destroy(&registry->lock);
    memory_free(registry);
}

NodusStatus registry_add_type(Registry *registry, const NodusType *type)
{
    if (type->struct_size < sizeof *type || !type->name)
        return nodus_error(NODUS_ERROR_INPUT, "a type without name or for another version of nodus cannot be registered");
    return list_add(registry, &registry->types, "type", type->name, type);
}

/* ---- Types whose payload is a tensor ------------------------------------------------------------------------------- */

static void tensor_free(void *payload)
{
    nodus_tensor_unref(payload);
}

static void tensor_account(const void *payload, NodusAccount *account)
{
    nodus_account_tensor(account, payload);
}

static NodusStatus tensor_print(const void *payload, NodusText *text)
{
    const NodusTensor *tensor = payload;
    NODUS_TRY(nodus_print(text, "tensor ["));
    for (int i = 0; i < nodus_tensor_rank(tensor); i++)
        NODUS_TRY(nodus_print(text, "%s%lld", i ? ", " : "", (long long)nodus_tensor_dim(tensor, i)));
    return nodus_print(text, "]");
}

static NodusStatus tensor_array(const void *payload, const char *part, const NodusTensor **out)
{
    if (part) return nodus_error(NODUS_ERROR_INPUT, "this value has no part \"%s\"", part);
    *out = payload;
    return NULL;
}

static NodusStatus tensor_store(const void *payload, NodusWriter *writer)
{
    return nodus_write_tensor(writer, payload);
}

static NodusStatus tensor_load(NodusReader *reader, void **payload)
{
    NodusTensor *tensor;
    NODUS_TRY(nodus_read_tensor(reader, &tensor));
    *payload = tensor;
    return tensor ? NULL : nodus_error(NODUS_ERROR_FILE, "a tensor is missing");
}

NodusStatus registry_add_tensor_type(Registry *registry, const char *name)
{
    void *items = registry->tensor_types;
    if (!memory_reserve(&items, &registry->tensor_capacity, registry->tensor_count, sizeof *registry->tensor_types))
        return status_memory();
    registry->tensor_types = items;
    NodusType *type = memory_alloc(sizeof *type);
    if (!type) return status_memory();
    *type = (NodusType){.struct_size = sizeof *type,
                        .name = name,
                        .free = tensor_free,
                        .account = tensor_account,
                        .print = tensor_print,
                        .store = tensor_store,
                        .load = tensor_load,
                        .array = tensor_array};
    registry->tensor_types[registry->tensor_count++] = type;
    return registry_add_type(registry, type);
}

bool registry_is_tensor(const NodusType *type)
{
    return type->free == tensor_free;
}

/* ---- Nodes --------------------------------------------------------------------------------------------------------- */

static NodusStatus check_inputs(const NodusNode *node)
{
    const bool filled = node->run || node->args_size; /* else known only: a table without arguments */
    if (node->run && node->input_count > MOST_INPUTS)
        return nodus_error(NODUS_ERROR_INPUT, "node %s has %u inputs, at most %d are possible", node->name, node->input_count,
                           MOST_INPUTS);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const NodusInput *input = &node->inputs[i];
        if (!input->name || !input->type || input->kind > NODUS_HIDDEN)
            return nodus_error(NODUS_ERROR_INPUT, "input %u of node %s has no name, no type or an unknown kind", i, node->name);
        if (filled && (input->offset > node->args_size || node->args_size - input->offset < descriptor_field_size(input)))
            return nodus_error(NODUS_ERROR_INPUT, "input %s of node %s lies outside its struct of arguments", input->name,
                               node->name);
        if ((input->flags & NODUS_WHOLE_LIST) && !(node->flags & NODUS_TAKES_LISTS))
            return nodus_error(NODUS_ERROR_INPUT, "input %s of node %s wants a whole list, but the node does not take lists",
                               input->name, node->name);
        for (uint32_t k = 0; k < i; k++)
            if (!strcmp(node->inputs[k].name, input->name))
                return nodus_error(NODUS_ERROR_INPUT, "node %s has two inputs called %s", node->name, input->name);
    }
    return NULL;
}

NodusStatus registry_add_node(Registry *registry, const NodusNode *node)
{
    if (node->struct_size < sizeof *node || !node->name)
        return nodus_error(NODUS_ERROR_INPUT, "a node without name or for another version of nodus cannot be registered");
    NODUS_TRY(check_inputs(node));
    for (uint32_t i = 0; i < node->output_count; i++)
        if (!node->outputs[i].type) return nodus_error(NODUS_ERROR_INPUT, "output %u of node %s has no type", i, node->name);
    const int32_t known = registry->sealed ? -1 : names_get(&registry->nodes.names, node->name);
    if (known >= 0 && node->run && !((const NodusNode *)registry->nodes.item[known])->run) { /* known, not built: now it is */
        registry->nodes.item[known] = node;
        return NULL;
    }
    return list_add(registry, &registry->nodes, "node", node->name, node);
}

NodusStatus registry_add_sampler(Registry *registry, const NodusSamplerDef *sampler)
{
    return list_add(registry, &registry->samplers, "sampler", sampler->name, sampler);
}

NodusStatus registry_add_scheduler(Registry *registry, const NodusSchedulerDef *scheduler)
{
    return list_add(registry, &registry->schedulers, "scheduler", scheduler->name, scheduler);
}

void registry_use_language(Registry *registry, const PluginLanguage *language)
{
    registry->language = language;
}

const PluginLanguage *registry_language(const Registry *registry)
{
    return registry->language;
}

NodusStatus registry_add_op(Registry *registry, const NodusOpDef *op)
{
    return list_add(registry, &registry->ops, "operation", op->name, op);
}

NodusStatus registry_add_patch(Registry *registry, const NodusPatchClass *patch)
{
    return list_add(registry, &registry->patches, "patch class", patch->name, patch);
}

static int compare_nodes(const void *a, const void *b)
{
    const NodusNode *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void sort_nodes(List *nodes)
{
    if (nodes->count) qsort(nodes->item, nodes->count, sizeof *nodes->item, compare_nodes);
    for (size_t i = 0; i < nodes->count; i++) {
        const NodusNode *node = nodes->item[i];
        names_put(&nodes->names, node->name, (int32_t)i); /* replaces, so it needs no memory */
    }
}

/* From now on the nodes lie in the order of their names, and nothing changes. */
void registry_seal(Registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    if (!registry->sealed) sort_nodes(&registry->nodes);
    registry->sealed = true;
    pthread_mutex_unlock(&registry->lock);
}

const NodusType *registry_type(const Registry *registry, const char *name)
{
    return list_get(&registry->types, name);
}

const NodusType *registry_whole_type(const Registry *registry, const NodusType *type)
{
    const NodusType *known = registry_type(registry, type->name);
    return known && known->free == type->free ? known : NULL; /* a table of that name with another function is another type */
}

const NodusNode *registry_node(const Registry *registry, const char *name)
{
    if (name && !strcmp(name, GIVEN_CLASS)) return &given_node;
    return list_get(&registry->nodes, name);
}

int registry_node_count(const Registry *registry)
{
    return (int)registry->nodes.count;
}

const NodusNode *registry_node_at(const Registry *registry, int index)
{
    return registry->nodes.item[index];
}

const NodusSamplerDef *registry_sampler(const Registry *registry, const char *name)
{
    return list_get(&registry->samplers, name);
}

const NodusSchedulerDef *registry_scheduler(const Registry *registry, const char *name)
{
    return list_get(&registry->schedulers, name);
}

const NodusOpDef *registry_op(const Registry *registry, const char *name)
{
    return list_get(&registry->ops, name);
}

const NodusPatchClass *registry_patch(const Registry *registry, const char *name)
{
    return list_get(&registry->patches, name);
}

const char *registry_sampler_name(const Registry *registry, int index)
{
    return (size_t)index < registry->samplers.count ? ((const NodusSamplerDef *)registry->samplers.item[index])->name : NULL;
}

const char *registry_scheduler_name(const Registry *registry, int index)
{
    return (size_t)index < registry->schedulers.count ? ((const NodusSchedulerDef *)registry->schedulers.item[index])->name
                                                      : NULL;
}
