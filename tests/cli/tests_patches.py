"""Patches and operations of plug-ins: what they compute, that it belongs to their files, and what they get wrong: each a message of the node that ran, and
the next prompt runs.

One plug-in with a node that does by number what a test asks for."""
import array
import json
import os

from harness import TESTS, check, contains, same, test
from support import ROOT, text_to_image
from tests_plugins import compile_plugin, report

SOURCE = r"""
#include <nodus/patch.h>
#include <math.h>
#include <stdlib.h>
enum {
    NOTHING, HALF_Q, GUIDE, SET_Q_HERE, CUT_Q, FLAT_H, NO_H, WIDE_H, NAN_H, UNBOUND, BIND_NAN, BIND_MANY, OWN_ERROR, VAST, NO_VALUE, EARLY, OTHER_SHAPE,
    WIDE_EMB, CUT_OUT, SHORT_V, NO_ERROR, UNKNOWN, TWO_SHAPES, GUIDE_NOTHING, NO_NAME, BIND_NULL, CALL_OP
};
typedef struct { const void *model; int64_t mode; } Args;
#define MODE(self_) ((int)*(const int64_t *)(self_))
static void hash_mode(const void *self, NodusHash *hash) { nodus_hash_u64(hash, (uint64_t)MODE(self)); }
static NodusOpRef twice(NodusOpGraph *g, NodusOpRef x, int axis) { return nodus_op_concat(g, x, x, axis); }
static NodusOpRef cut(NodusOpGraph *g, NodusOpRef x, int axis) { return nodus_op_slice(g, x, axis, 0, nodus_op_dim(g, x, axis) - 1); }
extern NodusOpDef op;
static NodusStatus attention(int mode, NodusOpGraph *g, NodusSite *site)
{
    NodusOpRef q = nodus_site_get(g, site, NODUS_SITE_Q), v = nodus_site_get(g, site, NODUS_SITE_V);
    if (mode == HALF_Q || mode == UNBOUND || mode >= BIND_NAN && mode <= BIND_MANY || mode == NO_NAME || mode == BIND_NULL)
        nodus_site_set(g, site, NODUS_SITE_Q, nodus_op_mul(g, q, nodus_op_scalar(g, "factor")));
    if (mode == CALL_OP) {
        const NodusOpRef both[] = {q, q};
        nodus_op_call(g, &op, 2, both, (const double[]){0.5}, &q);
        nodus_site_set(g, site, NODUS_SITE_Q, q);
    }
    if (mode == CUT_Q) nodus_site_set(g, site, NODUS_SITE_Q, twice(g, q, 0));
    if (mode == SHORT_V) nodus_site_set(g, site, NODUS_SITE_V, cut(g, v, 1));
    if (mode == OWN_ERROR) return nodus_error(NODUS_ERROR_INPUT, "it is Sunday");
    if (mode == NO_ERROR) return (NodusStatus)"a text that is long enough to look like an error, one would think";
    if (mode == NO_VALUE) nodus_site_get(g, site, (NodusSiteValue)77);
    return NULL;
}
static NodusStatus build(const void *self, NodusOpGraph *g, NodusSite *site)
{
    const int mode = MODE(self), kind = (int)nodus_site_number(site, NODUS_SITE_KIND);
    NodusOpRef h = nodus_site_get(g, site, NODUS_SITE_H);
    if (kind == NODUS_AT_ATTENTION) return attention(mode, g, site);
    if (kind == NODUS_AT_EMB && mode == WIDE_EMB) nodus_site_set(g, site, NODUS_SITE_EMB, twice(g, nodus_site_get(g, site, NODUS_SITE_EMB), 1));
    if (kind == NODUS_AT_ATTENTION_RESULT && mode == CUT_OUT) nodus_site_set(g, site, NODUS_SITE_OUT, cut(g, nodus_site_get(g, site, NODUS_SITE_Q), 1));
    if (kind != NODUS_AT_INPUT_BLOCK) return NULL;
    if (mode == SET_Q_HERE) nodus_site_set(g, site, NODUS_SITE_Q, h);
    if (mode == FLAT_H) nodus_site_set(g, site, NODUS_SITE_H, nodus_op_tokens(g, h));
    if (mode == NO_H) nodus_site_set(g, site, NODUS_SITE_H, NODUS_OP_NONE);
    if (mode == WIDE_H) nodus_site_set(g, site, NODUS_SITE_H, twice(g, h, 1));
    if (mode == NAN_H) nodus_site_set(g, site, NODUS_SITE_H, nodus_op_affine(g, h, NAN, 0));
    if (mode == VAST) nodus_op_input(g, "vast", 2, (const int64_t[]){1ll << 40, 1ll << 40});
    if (mode == TWO_SHAPES) nodus_op_input(g, "one", 1, (const int64_t[]){1}), nodus_op_input(g, "one", 1, (const int64_t[]){2});
    return NULL;
}
static NodusStatus bind(const void *self, void *state, float sigma, NodusBindings *bindings)
{
    const int mode = MODE(self);
    (void)state, (void)sigma;
    if (mode == UNBOUND) return NULL;
    if (mode == NO_NAME) return nodus_bind_number(bindings, NULL, 1);
    if (mode == BIND_NULL) return nodus_bind_tensor(bindings, "factor", NULL);
    for (int i = 0; i < 40 && mode == BIND_MANY; i++) NODUS_TRY(nodus_bind_number(bindings, "factor", 1));
    return nodus_bind_number(bindings, "factor", mode == BIND_NAN ? NAN : FACTOR);
}
static NodusStatus begin(const void *self, void **state)
{
    (void)self;
    *state = calloc(1, sizeof(int));
    return *state ? NULL : nodus_error(NODUS_ERROR_MEMORY, "out of memory");
}
static void end(void *state) { free(state); }
static NodusStatus guide(const void *self, void *state, NodusGuidance *guidance)
{
    const int mode = MODE(self);
    const NodusGuidanceStage stage = nodus_guidance_stage(guidance);
    NodusMath *math = nodus_guidance_math(guidance);
    NodusTensor *out;
    if (!state || ++*(int *)state > 3 * 2) return nodus_error(NODUS_ERROR_INPUT, "no state, or that of another run"); /* three stages, two steps */
    if (mode == EARLY) return nodus_guidance_set(guidance, NODUS_GUIDANCE_DENOISED, nodus_guidance_get(guidance, NODUS_GUIDANCE_COND));
    if (mode == GUIDE_NOTHING && stage == NODUS_GUIDANCE_RULE) return nodus_guidance_set(guidance, NODUS_GUIDANCE_DENOISED, NULL);
    if (mode == OTHER_SHAPE && stage == NODUS_GUIDANCE_RULE) {
        NODUS_TRY(nodus_tensor_slice(math, &out, nodus_guidance_get(guidance, NODUS_GUIDANCE_X), 3, 0, 1));
        return nodus_guidance_set(guidance, NODUS_GUIDANCE_DENOISED, out);
    }
    if (mode == GUIDE && stage == NODUS_GUIDANCE_RULE) /* what a cfg of 1 gives */
        return nodus_guidance_set(guidance, NODUS_GUIDANCE_DENOISED, nodus_guidance_get(guidance, NODUS_GUIDANCE_COND));
    return NULL;
}
static NodusPatchClass patch = {.struct_size = sizeof(NodusPatchClass), .version = 1, .name = "test patch", .structure = hash_mode, .identity = hash_mode,
                                .build = build, .bind = bind, .guide = guide, .begin = begin, .end = end};
static NodusStatus run(NodusCall *call, const void *args)
{
    const Args *in = args;
    int64_t *self = malloc(sizeof *self);
    *self = in->mode;
    return nodus_emit_patched_model(call, 0, in->model, *self == UNKNOWN ? "somebody's patch" : "test patch", self, free);
}
static const NodusInput inputs[] = {NODUS_IN_LINK("model", Args, model, "MODEL", "A model."), NODUS_IN_INT("mode", Args, mode, "What to do.", .def = 0, .max = 99)};
static const NodusOutput outputs[] = {{.name = "MODEL", .type = "MODEL", .tooltip = "The model."}};
static NodusNode node = {NODUS_NODE("TestPatch", "Patch", "tests", Args, inputs, outputs), .help = "Patches.", .run = run};

static NodusStatus blend(NodusOpGraph *g, const NodusOpRef *in, const double *parameter, NodusOpRef *out)
{
    out[0] = nodus_op_add(g, nodus_op_affine(g, in[0], (float)parameter[0], 0), nodus_op_affine(g, in[1], FACTOR, 0));
    return NULL;
}
NodusOpDef op = {.struct_size = sizeof(NodusOpDef), .version = 1, .name = "test blend", .about = "Blends.", .inputs = 2, .outputs = 1, .parameters = 1, .build = blend};
typedef struct { const NodusTensor *image; double share; const char *op; } BlendArgs;
static NodusStatus run_blend(NodusCall *call, const void *args)
{
    const BlendArgs *in = args;
    NodusTensor *out;
    NODUS_TRY(nodus_op_run(call, in->op, 2, (const NodusTensor *const[]){in->image, in->image}, &in->share, &out));
    return nodus_emit_tensor(call, 0, "IMAGE", out);
}
static const NodusInput blend_inputs[] = {NODUS_IN_LINK("image", BlendArgs, image, "IMAGE", "A picture."), NODUS_IN_FLOAT("share", BlendArgs, share, "How much.", .def = 1),
                                          NODUS_IN_STRING("op", BlendArgs, op, "Which.", .def = "test blend")};
static const NodusOutput blend_outputs[] = {{.name = "IMAGE", .type = "IMAGE", .tooltip = "A picture."}};
static NodusNode blend_node = {NODUS_NODE("TestBlend", "Blend", "tests", BlendArgs, blend_inputs, blend_outputs), .help = "Blends.", .run = run_blend};

typedef struct { const void *conditioning; int64_t mode; } CondArgs;
static NodusStatus run_cond(NodusCall *call, const void *args)
{
    const CondArgs *in = args;
    const NodusTensor *text = nodus_conditioning_text(in->conditioning, 0);
    NodusTensor *out[2];
    if (nodus_conditioning_count(in->conditioning) != 1 || nodus_conditioning_text(in->conditioning, 1) || nodus_conditioning_pooled(in->conditioning, 9))
        return nodus_error(NODUS_ERROR_INPUT, "not one entry");
    NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out[0], text, -1, 0));
    if (in->mode == 1) NODUS_TRY(nodus_tensor_slice(nodus_math(call), &out[0], text, 0, 0, 0));
    if (in->mode == 2) NODUS_TRY(nodus_tensor_reshape(nodus_math(call), &out[0], text, 2, (const int64_t[]){nodus_tensor_dim(text, 1), nodus_tensor_dim(text, 2)}));
    return nodus_emit_conditioning(call, 0, in->conditioning, (const NodusTensor *const *)out, NULL);
}
static const NodusInput cond_inputs[] = {NODUS_IN_LINK("conditioning", CondArgs, conditioning, "CONDITIONING", "Words."), NODUS_IN_INT("mode", CondArgs, mode, "What.", .max = 9)};
static const NodusOutput cond_outputs[] = {{.name = "CONDITIONING", .type = "CONDITIONING", .tooltip = "Words."}};
static NodusNode cond_node = {NODUS_NODE("TestWords", "Words", "tests", CondArgs, cond_inputs, cond_outputs), .help = "Turns words round.", .run = run_cond};
NODUS_PLUGIN("patches", "1.0", "For tests.")
{
    BEFORE
    nodus_plugin_patch(plugin, &patch);
    nodus_plugin_op(plugin, &op);
    nodus_plugin_node(plugin, &node);
    nodus_plugin_node(plugin, &blend_node);
    nodus_plugin_node(plugin, &cond_node);
    return NULL;
}
"""
MODES = {name.strip(): i for i, name in enumerate(SOURCE.split("enum {")[1].split("}")[0].split(","))}


def compile_patches(nodus, name="p.so", edits=(), factor="0.5f", **more):
    return compile_plugin(nodus, name, source=SOURCE.replace("FACTOR", factor), edits=edits, **more)


def patched(*modes, **sampler):
    graph = text_to_image(**sampler)
    for i, mode in enumerate(modes):
        graph[f"1{i}"] = {"class_type": "TestPatch", "inputs": {"model": [f"1{i - 1}" if i else "1", 0], "mode": MODES[mode]}}
    if modes:
        graph["5"]["inputs"]["model"] = [f"1{len(modes) - 1}", 0]
    return graph


def samples(nodus, graph, *more):
    nodus.write("w.json", graph)
    code, _, err = nodus.run("run", "w.json", "--plugin", "p.so", "--no-cache", "--dump", "5=s.npy", *more)
    same(code, 0, err)
    numbers = array.array("f")
    numbers.frombytes(open(nodus.path("s.npy"), "rb").read()[128:])
    return numbers


def furthest(a, b):
    return max(abs(x - y) for x, y in zip(a, b))


# ---- What is computed --------------------------------------------------------------------------------------------------------

@test
def patches_of_plug_ins_change_a_model_alike_on_all_back_ends_and_with_any_threads(nodus):
    compile_patches(nodus)
    plain, half = samples(nodus, patched()), samples(nodus, patched("HALF_Q"))
    same(samples(nodus, patched("NOTHING")), plain, "samples of a patch that does nothing")
    check(furthest(plain, half) > 0.01, "the patch changes nothing")
    check(furthest(half, samples(nodus, patched("HALF_Q"), "--device", "ref")) < 1e-3, "ref and cpu differ")
    for threads in "13":
        same(samples(nodus, patched("HALF_Q"), "--threads", threads), half, f"samples with {threads} threads")


@test
def patches_of_plug_ins_stand_in_a_row_each_with_its_own_numbers(nodus):
    """A half twice is a quarter once, to the bit."""
    compile_patches(nodus)
    twice = samples(nodus, patched("HALF_Q", "HALF_Q"))
    compile_patches(nodus, factor="0.25f")
    same(samples(nodus, patched("HALF_Q")), twice, "a quarter")


@test
def patches_of_plug_ins_use_operations(nodus):
    """Half of q and half of q is q; half and a quarter are three quarters."""
    compile_patches(nodus)
    plain = samples(nodus, patched())
    same(samples(nodus, patched("CALL_OP")), plain, "samples with the whole of q")
    compile_patches(nodus, factor="0.25f")
    check(furthest(samples(nodus, patched("CALL_OP")), plain) > 0.001, "samples with less of q are the same")


@test
def patches_of_plug_ins_guide(nodus):
    compile_patches(nodus)
    plain = samples(nodus, patched(cfg=1))
    far = furthest(samples(nodus, patched("GUIDE")), plain)
    check(far < 1e-4, f"the positive prediction alone is not what a cfg of 1 gives: {far}")
    check(furthest(samples(nodus, patched()), plain) > 0.01, "cfg changes nothing")


@test
def conditionings_are_read_and_made_by_plug_ins(nodus):
    compile_patches(nodus)
    graph = patched()
    graph["20"] = {"class_type": "TestWords", "inputs": {"conditioning": ["2", 0], "mode": 0}}
    graph["21"] = {"class_type": "TestWords", "inputs": {"conditioning": ["20", 0], "mode": 0}}
    plain = samples(nodus, patched())
    graph["5"]["inputs"]["positive"] = ["20", 0]
    check(furthest(samples(nodus, graph), plain) > 0.01, "other words change nothing")
    graph["5"]["inputs"]["positive"] = ["21", 0]
    same(samples(nodus, graph), plain, "turned round twice")
    for mode in (1, 2):
        graph["20"]["inputs"]["mode"] = mode
        fails(nodus, graph, "20", "the text of a conditioning is f32 of 3 dimensions, the first of them 1")


# ---- Operations -----------------------------------------------------------------------------------------------------------------

def blend(share=0.25, op="test blend"):
    return {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0xffffff}},
            "2": {"class_type": "TestBlend", "inputs": {"image": ["1", 0], "share": share, "op": op}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "t"}}}


@test
def operations_of_plug_ins_run_in_nodes_by_name(nodus):
    compile_patches(nodus)
    nodus.write("w.json", blend())
    for device in ("cpu", "ref"):
        code, _, err = nodus.run("run", "w.json", "--plugin", "p.so", "--no-cache", "--device", device, "--dump", "2=s.npy")
        same(code, 0, err)
        same(array.array("f", open(nodus.path("s.npy"), "rb").read()[128:132])[0], 0.75, "a number on " + device)
    fails(nodus, blend(op="nobody's"), "2", "no plug-in brings the operation nobody's")
    code, told, _ = report(nodus)
    same((code, told["operations"], told["patches"]), (0, ["test blend"], ["test patch"]), "the report")


@test
def results_belong_to_the_file_that_brought_the_operation(nodus):
    """Of a node's own plug-in: by its signature; of another's: they are not kept."""
    slow = [("NodusTensor *out;\n    NODUS_TRY(nodus_op_run", "NodusTensor *out;\n    usleep(20000);\n    NODUS_TRY(nodus_op_run"), ("#include <stdlib.h>", "#include <stdlib.h>\n#include <unistd.h>")]
    nodus.write("w.json", blend())

    def kept(*plugins):
        options = [word for plugin in plugins for word in ("--plugin", plugin)]
        return "2" in [event["node"] for event in nodus.events("run", "w.json", *options)[1] if event["event"] == "cached"]
    compile_patches(nodus, edits=slow)
    check(not kept("p.so") and kept("p.so"), "the second run computed again")
    compile_patches(nodus, edits=slow, factor="0.125f")
    check(not kept("p.so"), "the result of the former build was used")
    alone = [(line, "") for line in ("    nodus_plugin_patch(plugin, &patch);\n", "    nodus_plugin_node(plugin, &node);\n", "    nodus_plugin_node(plugin, &cond_node);\n")]
    compile_patches(nodus, "nodes.so", edits=slow + alone + [("    nodus_plugin_op(plugin, &op);\n", "")])
    compile_patches(nodus, "op.so", edits=alone + [("    nodus_plugin_node(plugin, &blend_node);\n", "")])
    check(not kept("nodes.so", "op.so") and not kept("nodes.so", "op.so"), "a result that another plug-in has a part in was kept")


# ---- Attacks ----------------------------------------------------------------------------------------------------------------------

def fails(nodus, graph, node, *says):
    """The run fails in that node with these words, and the process then runs the next prompt."""
    nodus.write("bad.json", graph)
    nodus.write("good.json", blend())
    code, out, err = nodus.run("run", "bad.json", "good.json", "--plugin", "p.so", "--no-cache")
    same((code, out.strip()[-4:]), (1, ".png"), f"exit status and output ({err})")
    for piece in says:
        contains(err, piece)
    contains(err, f"node {node}", "the blamed node")


ATTACKS = {
    "SET_Q_HERE": ("patch test patch: ", "Q cannot be set here: nobody reads it after the patch"),
    "CUT_Q": ("patch test patch: ", "Q has 3 dimensions, 2 items, ", "; a patch gave 3, 4, "),
    "FLAT_H": ("H has 4 dimensions", "; a patch gave 3, "),
    "NO_H": ("H: NODUS_OP_NONE instead of a value",),
    "WIDE_H": ("patch test patch: ", "H has 4 dimensions, 2 items, 64 channels here; a patch gave 4, 2, 128"),
    "NAN_H": ("affine: its scale is not a finite number",),
    "UNBOUND": ('input "patch 0.factor" was not given',),
    "BIND_NAN": ("patch test patch: input factor is not a finite number",),
    "BIND_MANY": ("input factor is one too many: 32 are possible in all",),
    "BIND_NULL": ("input factor: there is no tensor",),
    "NO_NAME": ("an input without name",),
    "OWN_ERROR": ("patch test patch: ", "it is Sunday"),
    "NO_ERROR": ("failed with an error that is none",),
    "VAST": ("input: the shape [1099511627776, 1099511627776] is too large",),
    "TWO_SHAPES": ("input patch 0.one has the shape [1], and is asked for as [2]",),
    "NO_VALUE": ("a place has no value of the number 77",),
    "EARLY": ("patch test patch: this cannot be set at this stage of guidance",),
    "OTHER_SHAPE": ("a prediction is f32 and has the shape of x; a patch gave another",),
    "GUIDE_NOTHING": ("a prediction is f32 and has the shape of x",),
    "WIDE_EMB": ("patch test patch: ", "EMB has 2 dimensions"),
    "CUT_OUT": ("do not fit",),
    "SHORT_V": ("attention: the shapes",),
}


@test
def what_a_patch_of_a_plug_in_gets_wrong_is_an_error_of_the_run(nodus):
    compile_patches(nodus)
    for mode, says in ATTACKS.items():
        try:
            fails(nodus, patched(mode, steps=1), "5", *says)
        except Exception as error:
            raise type(error)(f"{mode}: {error}")
    fails(nodus, patched("UNKNOWN"), "10", "no plug-in brings the patch class somebody's patch")


PATCH, OP = "patch class test patch ", "operation test blend "
BROKEN = [  # name, what is replaced, what is said
    ("a patch class without table", dict(before="nodus_plugin_patch(plugin, NULL);"), "a patch class has no table"),
    ("a patch class of another size", [("sizeof(NodusPatchClass), .version", "16, .version")], "struct_size is 16"),
    ("a patch class without name", [('.name = "test patch"', ".name = NULL")], "a patch class has no name"),
    ("a patch class that does nothing", [(".build = build, .bind = bind, .guide = guide, ", "")], PATCH + "does nothing"),
    ("a patch class without structure", [(".structure = hash_mode, ", "")], PATCH + "has a function `build`, but no `structure`"),
    ("a patch class that binds for nobody", [(".build = build, .bind", ".bind")], "has a function `bind`, but no `build`"),
    ("a patch class with a beginning only", [(", .end = end", "")], "has only one of `begin` and `end`"),
    ("a patch class that answers", [(".build = build,", ".build = build, .answer = (void *)build,")], "`answer`, which is not for plug-ins"),
    ("a patch class with conditionings", [(".build = build,", ".build = build, .conditioning = (void *)build,")], "`conditioning`, which is not for plug-ins"),
    ("a patch class that draws", [(".build = build,", ".build = build, .flags = NODUS_PATCH_DRAWS,")], "flags (0x2) that are not for plug-ins"),
    ("a patch class that exists", [('.name = "test patch"', '.name = "freeu"')], "patch class freeu exists already"),
    ("a patch class given twice", dict(before="nodus_plugin_patch(plugin, &patch);"), PATCH + "is registered twice"),
    ("an operation without table", dict(before="nodus_plugin_op(plugin, NULL);"), "an operation has no table"),
    ("an operation of another size", [("sizeof(NodusOpDef)", "8")], "struct_size is 8"),
    ("an operation without name", [('.name = "test blend"', '.name = "\\n"')], "an operation has no name"),
    ("an operation without function", [(", .build = blend", "")], OP + "has no function `build`"),
    ("an operation about nothing", [('"Blends.", .inputs', '"\\xff", .inputs')], "operation test blend: its line about itself is no UTF-8 text"),
    ("an operation with flags", [(".build = blend", ".build = blend, .flags = 4")], OP + "has flags (0x4)"),
    ("an operation of nothing", [(".inputs = 2", ".inputs = 0")], OP + "has 0 inputs, 1 to 8 are possible"),
    ("an operation of too much", [(".inputs = 2", ".inputs = 4000000000u")], OP + "has 4000000000 inputs"),
    ("an operation without outputs", [(".outputs = 1", ".outputs = 0")], OP + "has 0 outputs, 1 to 8 are possible"),
    ("an operation with endless parameters", [(".parameters = 1", ".parameters = 17")], OP + "has 17 parameters, 0 to 16 are possible"),
]


def broken(nodus, what, says):
    compile_patches(nodus, **(what if isinstance(what, dict) else {"edits": what}))
    code, told, err = report(nodus)
    same((code, told["good"], err), (2, False, ""), f"exit status and verdict ({told})")
    contains(" | ".join(told["faults"]), says, "the faults")


for _name, _what, _says in BROKEN:
    TESTS.append(("broken plug-in: " + _name, lambda nodus, what=_what, says=_says: broken(nodus, what, says)))


# ---- A patch of ours ----------------------------------------------------------------------------------------------------------------

OWN = r"""
#include "freeu.c"
NODUS_PLUGIN("own", "1.0", "A file of nodus itself, built as a plug-in.")
{
    static NodusNode nodes[2];
    nodes[0] = node_freeu, nodes[0].name = "OwnFreeU";
    nodes[1] = node_freeu_v2, nodes[1].name = "OwnFreeU_V2";
    nodus_plugin_patch(plugin, &patch_freeu);
    for (int i = 0; i < 2; i++) nodus_plugin_node(plugin, &nodes[i]);
    return NULL;
}
"""


@test
def freeu_of_ours_built_as_a_plug_in_gives_the_same_bits(nodus):
    """The file as it stands, but for the names, which exist already."""
    text = open(os.path.join(ROOT, "nodes", "patch_freeu.c"), encoding="utf-8").read()
    same([line for line in text.splitlines() if line.startswith("#include")], ["#include <nodus/patch.h>", "#include <stdlib.h>"], "what it includes")
    nodus.write("freeu.c", text.replace('.name = "freeu"', '.name = "own freeu"'))
    compile_plugin(nodus, source=OWN)
    plain = samples(nodus, patched())
    for name in ("FreeU", "FreeU_V2"):
        made = []
        for prefix in ("", "Own"):
            graph = json.loads(json.dumps(patched()))
            graph["10"] = {"class_type": prefix + name, "inputs": {"model": ["1", 0], "b1": 1.1, "b2": 1.4, "s1": 0.9, "s2": 0.3}}
            graph["5"]["inputs"]["model"] = ["10", 0]
            made.append(samples(nodus, graph))
        same(made[0], made[1], "samples of the plug-in")
        check(furthest(made[0], plain) > 0.01, "the patch changes nothing")
