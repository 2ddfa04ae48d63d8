/* Adapter files as people break them: each row is a small good file with an edit, and what the engine says when it is used. None
 * may crash, hang or give a picture that is silently wrong; afterwards the good file works as before.
 *
 * Edits: "drop KEY", "name KEY NEW", "copy KEY NEW", "dims KEY 3 4" (other numbers too), "type KEY NUMBER", "fill KEY nan";
 * several with ';' between. A KEY may begin or end with *. tests/fuzz/fuzz_adapter.c looks for edits that nobody thought of. */
#include "engine/base/memory.h"
#include "engine/formats/safetensors.h"
#include "tests/support_examples.h"
#include "tests/support_families_inside.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Lab lab;
LAB_FIXTURE(examples_open(&lab, NULL))

/* ---- Workflows ---------------------------------------------------------------------------------------------------------------
 */

#define NODE(name_, class_, inputs_) "\"" name_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}, "
#define LOADED(class_, input_)       NODE("A", class_, "\"" input_ "\": \"%s\"")
#define PICTURE                      NODE("I", "LoadImage", "\"image\": \"scene.png\"")
#define GUIDE(from_)                                                                                             \
    PICTURE NODE("G", "ControlNetApplyAdvanced",                                                                 \
                 "\"positive\": [\"pos\", 0], \"negative\": [\"neg\", 0], \"control_net\": [\"" from_ "\", 0], " \
                 "\"image\": [\"I\", 0], \"strength\": 1, \"start_percent\": 0, \"end_percent\": 1")
#define SEEN(vision_)                                                       \
    PICTURE NODE("V", "CLIPVisionLoader", "\"clip_name\": \"" vision_ "\"") \
        NODE("E", "CLIPVisionEncode", "\"clip_vision\": [\"V\", 0], \"image\": [\"I\", 0], \"crop\": \"center\"")

/* Where an adapter comes from, and the nodes that put it to use; %s is the file. */
static const struct {
    const char *name, *good, *folder, *nodes, *model, *positive, *clip; /* clip: the node whose text encoder it is; NULL: the checkpoint's */
} kinds[] = {
    {"lora", "loras/neon-lora.safetensors", "loras",
     NODE("A", "LoraLoader",
          "\"model\": [\"M\", 0], \"clip\": [\"M\", 1], \"lora_name\": \"%s\", \"strength_model\": 1, \"strength_clip\": 1"),
     "A", "pos", "A"},
    {"selective", "loras/neon-lora.safetensors", "loras",
     NODE("A", "LoraLoaderSelective",
          "\"model\": [\"M\", 0], \"clip\": [\"M\", 1], \"lora_name\": \"%s\", \"strength_model\": 1, \"strength_clip\": 1, "
          "\"select\": \"all = 1\", \"start_percent\": 0, \"end_percent\": 0.5"),
     "A", "pos", "A"},
    {"look", "loras/neon-lora.safetensors", "loras",
     NODE("A", "LoraInspect", "\"lora_name\": \"%s\", \"bars\": \"layers\"") NODE("T", "PreviewAny", "\"source\": [\"A\", 0]")
         NODE("B", "PreviewImage", "\"images\": [\"A\", 1]"),
     "M", "pos"},
    {"resize", "loras/neon-lora.safetensors", "loras",
     NODE("A", "LoraResize", "\"lora_name\": \"%s\", \"rank\": 2, \"energy\": 1, \"filename_prefix\": \"loras/small\""), "M",
     "pos"},
    {"control", "controlnet/control.safetensors", "controlnet", LOADED("ControlNetLoader", "control_net_name") GUIDE("A"), "M",
     "G"},
    {"union", "controlnet/union.safetensors", "controlnet",
     LOADED("ControlNetLoader", "control_net_name")
         NODE("U", "SetUnionControlNetType", "\"control_net\": [\"A\", 0], \"type\": \"depth\"") GUIDE("U"),
     "M", "G"},
    {"diffusers", "controlnet/control-diffusers.safetensors", "controlnet",
     LOADED("ControlNetLoader", "control_net_name") GUIDE("A"), "M", "G"},
    {"difference", "controlnet/difference.safetensors", "controlnet",
     NODE("A", "DiffControlNetLoader", "\"model\": [\"M\", 0], \"control_net_name\": \"%s\"") GUIDE("A"), "M", "G"},
    {"control-lora", "controlnet/control-lora.safetensors", "controlnet",
     LOADED("ControlNetLoader", "control_net_name") GUIDE("A"), "M", "G"},
    {"t2i", "controlnet/t2i.safetensors", "controlnet", LOADED("ControlNetLoader", "control_net_name") GUIDE("A"), "M", "G"},
    {"light", "controlnet/t2i-light.safetensors", "controlnet", LOADED("ControlNetLoader", "control_net_name") GUIDE("A"), "M",
     "G"},
    {"ip", "ipadapter/ip-adapter_sd15.safetensors", "ipadapter",
     LOADED("IPAdapterModelLoader", "ipadapter_file") SEEN("clip_vision.safetensors") NODE(
         "P", "IPAdapterAdvanced",
         "\"model\": [\"M\", 0], \"ipadapter\": [\"A\", 0], \"image\": [\"I\", 0], \"weight\": 1, \"weight_type\": \"linear\", "
         "\"combine_embeds\": \"concat\", \"start_at\": 0, \"end_at\": 1, \"embeds_scaling\": \"V only\", \"clip_vision\": "
         "[\"V\", 0]"),
     "P", "pos"},
    {"ip plus", "ipadapter/ip-adapter-plus_sd15.safetensors", "ipadapter",
     LOADED("IPAdapterModelLoader", "ipadapter_file") SEEN("clip_vision.safetensors") NODE(
         "P", "IPAdapterAdvanced",
         "\"model\": [\"M\", 0], \"ipadapter\": [\"A\", 0], \"image\": [\"I\", 0], \"weight\": 1, \"weight_type\": \"linear\", "
         "\"combine_embeds\": \"concat\", \"start_at\": 0, \"end_at\": 1, \"embeds_scaling\": \"V only\", \"clip_vision\": "
         "[\"V\", 0]"),
     "P", "pos"},
    {"gligen", "gligen/gligen.safetensors", "gligen",
     LOADED("GLIGENLoader", "gligen_name") NODE(
         "G", "GLIGENTextBoxApply",
         "\"conditioning_to\": [\"pos\", 0], \"clip\": [\"M\", 1], \"gligen_textbox_model\": [\"A\", 0], \"text\": \"a star\", "
         "\"width\": 32, \"height\": 32, \"x\": 8, \"y\": 8"),
     "M", "G"},
    {"hyper", "hypernetworks/hypernetwork.safetensors", "hypernetworks",
     NODE("A", "HypernetworkLoader", "\"model\": [\"M\", 0], \"hypernetwork_name\": \"%s\", \"strength\": 1"), "A", "pos"},
    {"style", "style_models/style.safetensors", "style_models",
     LOADED("StyleModelLoader", "style_model_name") SEEN("clip_vision.safetensors")
         NODE("G", "StyleModelApply",
              "\"conditioning\": [\"pos\", 0], \"style_model\": [\"A\", 0], \"clip_vision_output\": [\"E\", 0], \"strength\": 1, "
              "\"strength_type\": \"multiply\""),
     "M", "G"},
    {"redux", "style_models/redux.safetensors", "style_models",
     LOADED("StyleModelLoader", "style_model_name") SEEN("clip_vision.safetensors")
         NODE("G", "StyleModelApply",
              "\"conditioning\": [\"pos\", 0], \"style_model\": [\"A\", 0], \"clip_vision_output\": [\"E\", 0], \"strength\": 1, "
              "\"strength_type\": \"multiply\""),
     "M", "G"},
    {"vision", "clip_vision/clip_vision.safetensors", "clip_vision", SEEN("%s") NODE("T", "PreviewAny", "\"source\": [\"E\", 0]"),
     "M", "pos"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, ROOM = 6000 };

static int kind_of(const char *name)
{
    int kind = 0;
    while (kind < KINDS && strcmp(kinds[kind].name, name)) kind++;
    if (kind == KINDS) fail_msg("no kind '%s'", name);
    return kind;
}

/* One step of a sampling with the adapter on it. */
static NodusOutcome use(int kind, const char *file)
{
    static const char start[] =
        "{" NODE("M", "CheckpointLoaderSimple", "\"ckpt_name\": \"shapes-sd1.safetensors\"")
            NODE("pos", "CLIPTextEncode", "\"text\": \"a red house\", \"clip\": [\"%s\", 1]")
                NODE("neg", "CLIPTextEncode", "\"text\": \"\", \"clip\": [\"M\", 1]")
                    NODE("L", "EmptyLatentImage", "\"width\": 64, \"height\": 64, \"batch_size\": 1");
    static const char end[] =
        NODE("K", "KSampler",
             "\"model\": [\"%s\", 0], \"seed\": 7, \"steps\": 1, \"cfg\": 3, \"sampler_name\": \"euler\", \"scheduler\": \"normal\", "
             "\"positive\": [\"%s\", 0], \"negative\": [\"neg\", 0], \"latent_image\": [\"L\", 0], \"denoise\": 1")
        "\"S\": {\"class_type\": \"PreviewAny\", \"inputs\": {\"source\": [\"K\", 0]}}}";
    char json[ROOM];
    int at = snprintf(json, sizeof json, start, kinds[kind].clip ? kinds[kind].clip : "M");
    at += snprintf(json + at, sizeof json - (size_t)at, kinds[kind].nodes, file);
    snprintf(json + at, sizeof json - (size_t)at, end, kinds[kind].model, kinds[kind].positive);
    return lab_run(&lab, json);
}

/* ---- Edits -------------------------------------------------------------------------------------------------------------------
 */

enum { NUMBERS = 1 << 22, NAME = 256 };
static float plain[NUMBERS], filled[NUMBERS];

typedef struct Edit {
    char verb[16], key[NAME], rest[NAME];
} Edit;

static bool is_for(const Edit *edit, const char *name)
{
    const size_t length = strlen(edit->key), size = strlen(name);
    if (edit->key[0] == '*') return size >= length - 1 && !strcmp(name + size - (length - 1), edit->key + 1);
    return edit->key[length - 1] == '*' ? !strncmp(edit->key, name, length - 1) : !strcmp(edit->key, name);
}

/* Puts weight `index` as the edit wants it; a copy leaves the old one there too. */
static void put(WeightSet *set, const WeightSet *good, int index, const Edit *edit)
{
    const Weight *weight = weights_at(good, index);
    int64_t dim[VIEW_RANK] = {0};
    int rank = 0;
    NodusStatus status = NULL;
    if (!strcmp(edit->verb, "copy")) status = weights_add_like(set, weight->name, 0, NULL, good, index);
    if (status) fail_msg("%s", nodus_error_message(status));
    if (!strcmp(edit->verb, "name") || !strcmp(edit->verb, "copy"))
        status = weights_add_like(set, edit->rest, 0, NULL, good, index);
    if (!strcmp(edit->verb, "dims")) {
        for (char *at = (char *)(uintptr_t)edit->rest; *at; rank++) dim[rank] = strtoll(at, &at, 10);
        size_t count = 1;
        for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
        assert_true(count <= NUMBERS);
        status = weights_add(set, weight->name, DTYPE_F32, rank, dim, plain, count * sizeof *plain, false);
    }
    if (!strcmp(edit->verb, "type") || !strcmp(edit->verb, "fill")) {
        size_t count = weight->bytes / dtype_size(weight->dtype);
        const bool type = !strcmp(edit->verb, "type");
        const int dtype = type ? (int)strtol(edit->rest, NULL, 10) : DTYPE_F32;
        for (size_t i = 0; i < count && !type; i++) filled[i] = strtof(edit->rest, NULL);
        assert_true(count <= NUMBERS);
        status = weights_add(set, weight->name, dtype, weight->rank, weight->dim, type ? plain : filled,
                             count * dtype_size(dtype), false);
    }
    if (status) fail_msg("%s", nodus_error_message(status));
}

static WeightSet *edited(WeightSet *good, const Edit *edit)
{
    WeightSet *set;
    int found = 0;
    assert_null(weights_new(&set));
    for (int i = 0; i < weights_count(good); i++) {
        if (is_for(edit, weights_at(good, i)->name)) put(set, good, i, edit), found++;
        else assert_null(weights_add_like(set, weights_at(good, i)->name, 0, NULL, good, i));
    }
    if (!found && getenv("SHOW_ROWS")) printf("no weight is called %s\n", edit->key);
    else if (!found) fail_msg("no weight is called %s", edit->key);
    return set;
}

/* Writes models/FOLDER/NAME with the edits; each makes a set from the one before, which must live on. */
static void write_edited(int kind, const char *edits, const char *name)
{
    WeightSet *sets[8];
    int count = 1;
    char file[NAME], path[NAME], copy[1024];
    snprintf(file, sizeof file, "models/%s", kinds[kind].good);
    assert_null(safetensors_open(lab_path(&lab, file), &sets[0]));
    snprintf(copy, sizeof copy, "%s", edits);
    for (char *rest = copy, *one; (one = strsep(&rest, ";")); count++) {
        Edit edit = {"", "", ""};
        assert_true(count < 8 && sscanf(one, " %15s %255s %255[^;]", edit.verb, edit.key, edit.rest) >= 2);
        sets[count] = edited(sets[count - 1], &edit);
    }
    snprintf(path, sizeof path, "%s/%s", kinds[kind].folder, name);
    snprintf(file, sizeof file, "%s", lab_path(&lab, "models"));
    NodusStatus status = families_write(sets[count - 1], file, path);
    if (status) fail_msg("%s", nodus_error_message(status));
    while (count) weights_unref(sets[--count]);
}

/* ---- Rows --------------------------------------------------------------------------------------------------------------------
 */

#define OK "" /* it works, and so it should */
typedef struct Row {
    const char *kind, *edits, *says; /* a part of the error; behind '~': of the warning of a run that works */
} Row;

#define TE "lora_te_text_model_encoder_layers_0_mlp_fc1"
#define FC "encoder.layers.0.mlp.fc1"
static const Row rows[] = {
    {"lora", "drop *.lora_up.weight", "this is no LoRA: it has no entry whose name ends in \".lora_up.weight\" or th"},
    {"lora", "drop lora_*", "this is no LoRA: it has no entry whose name ends in \".lora_up.weight\" or th"},
    {"lora", "fill " TE ".alpha nan", "is no number: the file is damaged"},
    {"lora", "fill " TE ".alpha inf", "is no number: the file is damaged"},
    {"lora", "fill " TE ".alpha 1e30", "~the result has values that are no numbers (NaN or "},
    {"lora", "dims " TE ".alpha 2", "holds 2 numbers, expected one"},
    {"lora", "drop " TE ".lora_down.weight", "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "dims " TE ".lora_down.weight 0 64", "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "dims " TE ".lora_down.weight 4 63", "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "dims " TE ".lora_down.weight 256", "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "dims " TE ".lora_down.weight 4096 64;dims " TE ".lora_up.weight 256 4096", OK},
    {"lora", "fill " TE ".lora_up.weight nan", "~the result has values that are no numbers (NaN or "},
    {"lora", "fill " TE ".lora_up.weight inf", "~the result has values that are no numbers (NaN or "},
    {"lora", "fill lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight nan",
     "~the result has values that are no numbers (NaN or "},
    {"selective", "fill " TE ".lora_up.weight nan", "~the result has values that are no numbers (NaN or "},
    {"lora", "fill lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight nan",
     "~the result has values that are no numbers (NaN or "},
    {"lora", "fill lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight inf",
     "~the result has values that are no numbers (NaN or "},
    {"lora", "name " TE ".lora_up.weight lora_unet_input_blocks_99999999_1.lora_up.weight",
     "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "name " TE ".lora_up.weight " TE ".oft_blocks;drop " TE ".lora_down.weight",
     "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "name " TE ".lora_up.weight " TE ".lokr_w1", "~1 of its 210 parts fit nothing in this model and a"},
    {"lora", "copy " TE ".alpha " TE ".dora_scale", "~1 of its 210 parts fit nothing in this model and a"},
    {"selective", "fill lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight nan",
     "~the result has values that are no numbers (NaN or "},
    {"selective",
     "copy lora_unet_down_blocks_0_attentions_0_proj_in.alpha lora_unet_down_blocks_0_attentions_0_proj_in.dora_scale",
     "~1 of its 210 parts fit nothing in this model and a"},
    {"look", "drop lora_*", "this is no LoRA: it has no entry whose name ends in \".lora_up.weight\" or th"},
    {"look", "fill " TE ".lora_up.weight nan", OK},
    {"look", "fill " TE ".lora_up.weight inf", OK},
    {"look", "fill " TE ".alpha nan", OK},
    {"look", "dims " TE ".lora_down.weight 0 64", OK},
    {"look", "dims " TE ".lora_down.weight 4096 64;dims " TE ".lora_up.weight 256 4096", OK},
    {"look", "dims " TE ".lora_up.weight 1048576 1;dims " TE ".lora_down.weight 1 1048576", OK},
    {"look",
     "dims " TE ".lora_up.weight 1048576 1;dims " TE ".lora_down.weight 1 1048576;name " TE ".lora_up.weight " TE
     ".hada_w1_a;name " TE ".lora_down.weight " TE ".hada_w1_b;copy " TE ".hada_w1_a " TE ".hada_w2_a;copy " TE ".hada_w1_b " TE
     ".hada_w2_b",
     OK},
    {"look", "dims " TE ".lora_up.weight 0 4611686018427387904;dims " TE ".lora_down.weight 4611686018427387904 0", OK},
    {"resize", "drop *.lora_up.weight", "this is no LoRA: it has no entry whose name ends in \".lora_up.weight\" or th"},
    {"resize", "fill " TE ".lora_up.weight nan", "would hold values that are no numbers: one of the files is damaged"},
    {"resize", "fill " TE ".lora_up.weight inf", "would hold values that are no numbers: one of the files is damaged"},
    {"resize", "fill " TE ".alpha nan", "would hold values that are no numbers: one of the files is damaged"},
    {"resize", "fill " TE ".lora_up.weight 0", OK},
    {"resize", "dims " TE ".lora_down.weight 4096 64;dims " TE ".lora_up.weight 256 4096", OK},
    {"control", "drop control_model.zero_convs.0.0.weight",
     "this is no ControlNet or T2I-Adapter that we know: it has neither \"zero_con"},
    {"control", "drop control_model.zero_convs.3.0.weight",
     "control_model.zero_convs.3.0: there is no weight \"weight\" in the file"},
    {"control", "drop control_model.input_hint_block.0.weight",
     "the weight \"control_model.input_hint_block.0.weight\" is missing"},
    {"control", "drop control_model.input_hint_block.14.*",
     "control_model.input_hint_block.14: there is no weight \"weight\" in the file"},
    {"control", "dims control_model.input_hint_block.14.weight 33 256 3 3;dims control_model.input_hint_block.14.bias 33",
     "the network's input \"hint\" has the shape [1, 33, 8, 8], expected [1, 64, 8,"},
    {"control", "dims control_model.input_hint_block.0.weight 16 4 3 3",
     "image: the picture has too few channels for this network"},
    {"control", "dims control_model.input_hint_block.0.weight 16 1 3 3", OK},
    {"control", "dims control_model.input_hint_block.0.weight 16 3 3",
     "\"control_model.input_hint_block.0.weight\" has 3 dimensions, expected 4"},
    {"control", "dims control_model.input_hint_block.0.weight 16 0 3 3",
     "dimension 1 of \"control_model.input_hint_block.0.weight\" is 0: not a size t"},
    {"control", "dims control_model.zero_convs.0.0.weight 64 64",
     "control_model.: zero_convs.0.0.weight has the shape [64, 64], but what come"},
    {"control", "dims control_model.zero_convs.0.0.weight 3 64 1 1;dims control_model.zero_convs.0.0.bias 3",
     "the network's input \"control.output.11\" has the shape [1, 3, 8, 8], expecte"},
    {"control", "dims control_model.middle_block_out.0.weight 3 3 1 1",
     "control_model.: middle_block_out.0.weight has the shape [3, 3, 1, 1], but w"},
    {"control", "drop control_model.middle_block_out.*",
     "control_model.middle_block_out.0: there is no weight \"weight\" in the file"},
    {"control", "name control_model.zero_convs.3.0.weight control_model.zero_convs.99999999.0.weight",
     "control_model.zero_convs.3.0: there is no weight \"weight\" in the file"},
    {"control", "drop control_model.time_embed.0.weight",
     "control_model.time_embed.0: there is no weight \"weight\" in the file"},
    {"control", "drop control_model.input_blocks.1.1.*",
     "has \"control_model.input_blocks.2.1\" but no \"control_model.input_blocks.1.1\""},
    {"control", "drop control_model.input_blocks.5.1.*",
     "has \"control_model.input_blocks.4.1\" but no \"control_model.input_blocks.5.1\""},
    {"control", "drop control_model.input_blocks.5.*",
     "control_model.middle_block.0: in_layers.0.weight has the shape [64], expected [128]"},
    {"control", "drop control_model.input_blocks.11.*", "model: the ControlNet was made for a model of another family"},
    {"control", "drop control_model.middle_block.*", "but no \"control_model.middle_block.0\": the file is damaged"},
    {"control", "drop control_model.middle_block.1.*", "has \"control_model.middle_block.2\" but no \"control_model.middle_block.1\""},
    {"control", "drop control_model.middle_block.2.*", "has \"control_model.middle_block.1\" but no \"control_model.middle_block.2\""},
    {"diffusers", "drop mid_block.*", "has \"middle_block_out\" but no \"middle_block.0\": the file is damaged"},
    {"diffusers", "drop down_blocks.0.attentions.0.*", "has \"input_blocks.2.1\" but no \"input_blocks.1.1\""},
    {"control", "drop control_model.input_blocks.0.0.weight", "the weight \"control_model.input_blocks.0.0.weight\" is missing"},
    {"control", "dims control_model.input_blocks.0.0.weight 0 4 3 3",
     "dimension 0 of \"control_model.input_blocks.0.0.weight\" is 0: not a size tha"},
    {"control", "dims control_model.input_blocks.0.0.weight 64 9 3 3",
     "model: the ControlNet was made for a model of another family (64 channels a"},
    {"control", "fill control_model.zero_convs.0.0.weight nan", "~the result has values that are no numbers (NaN or "},
    {"control", "fill control_model.input_hint_block.0.weight inf", "~the result has values that are no numbers (NaN or "},
    {"union", "dims task_embedding 2 64", "control_add_embedding.linear_1.weight has the shape [256, 1536], but what c"},
    {"union", "dims task_embedding 6 63", "add: the shapes [1, 1, 64] and [1, 1, 63] do not fit"},
    {"union", "dims task_embedding 6", "\"task_embedding\" has 1 dimensions, expected 2"},
    {"union", "dims task_embedding 1048577 1", "dimension 0 of \"task_embedding\" is 1048577: not a size that a network has"},
    {"union", "drop transformer_layes.0.attn.out_proj.*",
     "style_model.encoder.layers.0.self_attn.out_proj: there is no weight \"weight"},
    {"union", "drop spatial_ch_projs.*", "spatial_ch_projs: there is no weight \"weight\" in the file"},
    {"union", "dims control_add_embedding.linear_1.weight 256 5",
     "control_add_embedding.linear_1.weight has the shape [256, 5], but what come"},
    {"diffusers", "drop controlnet_cond_embedding.conv_in.*", "the weight \"input_hint_block.0.weight\" is missing"},
    {"diffusers", "name controlnet_down_blocks.3.weight controlnet_down_blocks.-1.weight",
     "zero_convs.3.0: there is no weight \"weight\" in the file"},
    {"diffusers", "drop controlnet_mid_block.*", "middle_block_out.0: there is no weight \"weight\" in the file"},
    {"difference", "dims difference 0", OK},
    {"difference", "drop control_model.middle_block.*", "but no \"control_model.middle_block.0\": the file is damaged"},
    {"difference", "dims control_model.zero_convs.0.0.weight 1 1 1 1",
     "control_model.: zero_convs.0.0.weight has the shape [1, 1, 1, 1], but what "},
    {"control-lora", "drop input_hint_block.0.weight", "the weight \"input_hint_block.0.weight\" is missing"},
    {"control-lora", "drop input_blocks.1.0.in_layers.2.down",
     "the Control-LoRA has \"input_blocks.1.0.in_layers.2.up\" but not the \".down\" "},
    {"control-lora", "dims input_blocks.1.0.in_layers.2.down 0 64 3 3",
     "this Control-LoRA was made for a model of another family: \"input_blocks.1.0"},
    {"control-lora", "dims input_blocks.1.0.in_layers.2.up 64 5 1 1",
     "this Control-LoRA was made for a model of another family: \"input_blocks.1.0"},
    {"control-lora", "name input_blocks.1.0.in_layers.2.up input_blocks.9999999999.0.in_layers.2.up",
     "the Control-LoRA has \"input_blocks.9999999999.0.in_layers.2.up\" but not the"},
    {"control-lora", "fill input_blocks.1.0.in_layers.2.up nan", "~the result has values that are no numbers (NaN or "},
    {"control-lora", "dims input_blocks.1.0.in_layers.0.weight 1",
     "this Control-LoRA was made for a model of another family: \"input_blocks.1.0"},
    {"t2i", "dims conv_in.weight 64 191 3 3", "\"conv_in\" has 191 input channels: a T2I-Adapter has 192, 64, 768 or 256"},
    {"t2i", "dims conv_in.weight 64 64 3 3", OK},
    {"t2i", "dims conv_in.weight 64 192", "\"conv_in.weight\" has 2 dimensions, expected 4"},
    {"t2i", "drop body.7.*", "body.7.block1: there is no weight \"weight\" in the file"},
    {"t2i", "drop body.2.in_conv.*", "body.2: block1.weight has the shape [128, 128, 3, 3], but what comes in is "},
    {"t2i", "dims body.0.block1.weight 64 64 5 5", "body.0: add: the shapes [1, 64, 6, 6] and [1, 64, 8, 8] do not fit"},
    {"t2i", "dims body.7.block2.weight 1 1 1 1;dims body.7.block2.bias 1",
     "body.7: block2.weight has the shape [1, 1, 1, 1], but what comes in is [1, "},
    {"t2i", "dims conv_in.weight 64 768 3 3", "model: the T2I-Adapter was made for SDXL with 64 channels; the model has 12"},
    {"light", "drop body.0.in_conv.*", "the weight \"body.0.in_conv.weight\" is missing"},
    {"light", "dims body.0.in_conv.weight 0 192 1 1", "body.0: in_conv.bias has the shape [16], expected [0]"},
    {"light", "dims body.3.out_conv.weight 3 64 1 1;dims body.3.out_conv.bias 3",
     "body.3: out_conv.weight has the shape [3, 64, 1, 1], but what comes in is ["},
    {"ip", "drop ip_adapter.1.to_k_ip.weight", "this is no IP-Adapter: it has no \"ip_adapter.1.to_k_ip.weight\""},
    {"ip", "drop ip_adapter.3.to_v_ip.weight", "the weight \"ip_adapter.3.to_v_ip.weight\" is missing"},
    {"ip", "drop ip_adapter.9.*", "has 4 layers, the model shapes-sd1.safetensors wants 16: is it for another "},
    {"ip", "dims ip_adapter.1.to_k_ip.weight 63 64", "\"ip_adapter.1.to_v_ip.weight\" does not fit the others"},
    {"ip", "dims ip_adapter.1.to_k_ip.weight 64 63;dims ip_adapter.1.to_v_ip.weight 64 63",
     "\"ip_adapter.3.to_v_ip.weight\" does not fit the others"},
    {"ip", "dims ip_adapter.1.to_k_ip.weight 0 64",
     "dimension 0 of \"ip_adapter.1.to_k_ip.weight\" is 0: not a size that a networ"},
    {"ip", "dims ip_adapter.1.to_k_ip.weight 63 64;dims ip_adapter.1.to_v_ip.weight 63 64",
     "patch image prompt: its layer 0 is not as wide as this attention: the adapt"},
    {"ip", "dims image_proj.proj.weight 255 32", "\"image_proj.proj.weight\" gives 255 numbers, which are no tokens of 64"},
    {"ip", "dims image_proj.proj.weight 256 31", "wants 31: it needs another vision tower (most adapters ViT-H, some of SDXL "},
    {"ip", "drop image_proj.norm.bias", "image_proj: there is no weight \"norm.bias\" in the file"},
    {"ip", "drop image_proj.*", "the weight \"image_proj.proj.weight\" is missing"},
    {"ip", "dims image_proj.norm.weight 63", "\"image_proj.proj.weight\" gives 256 numbers, which are no tokens of 64"},
    {"ip", "copy image_proj.proj.weight image_proj.proj.0.weight",
     "this IP-Adapter is of the FaceID kind, which looks at faces through Insight"},
    {"ip", "fill image_proj.proj.weight nan", "~the result has values that are no numbers (NaN or "},
    {"ip", "dims image_proj.proj.weight 65600 32", "\"image_proj.proj.weight\" gives 65600 numbers, which are no tokens of 64"},
    {"ip plus", "dims image_proj.latents 4 48", "\"image_proj.latents\" has 2 dimensions, expected 3"},
    {"ip plus", "dims image_proj.latents 1 0 48", "dimension 1 of \"image_proj.latents\" is 0: not a size that a network has"},
    {"ip plus", "dims image_proj.latents 2 4 48", "\"image_proj.latents\" holds 2 sets of tokens, expected one"},
    {"ip plus", "drop image_proj.layers.2.*", "its resampler has no layer 2, but later ones: the file is damaged"},
    {"ip plus", "drop image_proj.layers.0.0.to_q.weight", "the weight \"image_proj.layers.0.0.to_q.weight\" is missing"},
    {"ip plus", "dims image_proj.layers.0.0.to_q.weight 100 48",
     "image_proj.layers.0.0: attention: the shapes [1, 4, 100] and [1, 21, 128] d"},
    {"ip plus", "dims image_proj.proj_in.weight 48 65",
     "wants 65: it needs another vision tower (most adapters ViT-H, some of SDXL "},
    {"gligen", "drop position_net.*", "this is no GLIGEN model: it has no \"position_net.null_positive_feature\""},
    {"gligen", "drop position_net.linears.2.weight", "position_net.linears.2: there is no weight \"weight\" in the file"},
    {"gligen", "dims position_net.null_positive_feature 63",
     "the texts of the boxes have 64 numbers, GLIGEN wants 63: is the text encode"},
    {"gligen", "dims position_net.null_positive_feature 1048576",
     "the texts of the boxes have 64 numbers, GLIGEN wants 1048576: is the text e"},
    {"gligen", "dims position_net.null_position_feature 63", "a box has 63 numbers in this GLIGEN model, expected 64"},
    {"gligen", "drop input_blocks.1.1.transformer_blocks.0.fuser.attn.to_q.weight",
     "patch gligen: model.diffusion_model.input_blocks.1.1.transformer_blocks.0.g"},
    {"gligen", "drop input_*;drop output_*;drop middle_*",
     "this GLIGEN model has none of its layers, whose names have \".fuser.\" in the"},
    {"gligen", "dims input_blocks.1.1.transformer_blocks.0.fuser.alpha_attn 2",
     "patch gligen: model.diffusion_model.input_blocks.1.1.transformer_blocks.0.g"},
    {"gligen", "fill input_blocks.1.1.transformer_blocks.0.fuser.alpha_attn nan",
     "~the result has values that are no numbers (NaN or "},
    {"hyper", "drop 64.1.*", "\"64.0.linear.0.weight\" belongs to no pair of networks \"WIDTH.0.linear.N\" an"},
    {"hyper", "name 64.0.linear.0.weight 64.0.linear.99999999.weight",
     "patch hypernetwork: model.diffusion_model.hypernetwork.0.64.0: linear.1.wei"},
    {"hyper", "dims 64.0.linear.1.weight 63 128", "patch hypernetwork: model.diffusion_model.hypernetwork.0.64.0: linear.1.bia"},
    {"hyper", "dims 64.0.linear.0.weight 0 64", "patch hypernetwork: model.diffusion_model.hypernetwork.0.64.0: linear.0.bia"},
    {"hyper", "dims 64.0.linear.0.weight 128", "patch hypernetwork: model.diffusion_model.hypernetwork.0.64.0: linear.0.wei"},
    {"hyper", "dims 64.0.linear.0.weight 64 64 1 1 1",
     "patch hypernetwork: model.diffusion_model.hypernetwork.0.64.0: linear.0.wei"},
    {"hyper", "name 64.0.linear.0.weight 65.0.linear.0.weight;drop 64.*",
     "\"65.0.linear.0.weight\" belongs to no pair of networks \"WIDTH.0.linear.N\" an"},
    {"hyper", "fill 64.0.linear.0.weight nan", "~the result has values that are no numbers (NaN or "},
    {"style", "drop style_embedding", "this is no style model that we know: it has neither \"style_embedding\" nor \""},
    {"style", "dims style_embedding 4 64", "\"style_model.style_embedding\" has 2 dimensions, expected 3"},
    {"style", "dims style_embedding 1 4 63", "the style adapter has 1 layers of width 63, expected some of a multiple of "},
    {"style", "drop transformer_layes.0.*", "this is no style model that we know: it has neither \"style_embedding\" nor \""},
    {"style", "drop proj", "the weight \"style_projection.weight\" is missing"},
    {"style", "dims proj 64 32", "style_model: makes tokens of 32 numbers, the prompt's have 64: it is for an"},
    {"style", "fill proj nan", "~the result has values that are no numbers (NaN or "},
    {"redux", "drop redux_up.weight", "the weight \"redux_up.weight\" is missing"},
    {"redux", "dims redux_down.weight 63 192", "redux_down.bias has the shape [64], expected [63]"},
    {"redux", "dims redux_up.weight 192", "\"redux_up.weight\" has 1 dimensions, expected 2"},
    {"vision", "drop vision_model.embeddings.class_embedding",
     "vision_model.embeddings: there is no weight \"class_embedding\" in the file"},
    {"vision", "dims vision_model.embeddings.patch_embedding.weight 64 3 0 0",
     "dimension 2 of \"vision_model.embeddings.patch_embedding.weight\" is 0: not a"},
    {"vision", "dims vision_model.embeddings.patch_embedding.weight 64 3 8 4",
     "the vision tower's patches are 4 × 8 pixels, expected squares"},
    {"vision", "drop vision_model.encoder.layers.0.*",
     "the vision tower under \"\" has 0 layers and looks at 3 colours, expected 2 o"},
    {"vision", "drop visual_projection.weight", "the weight \"visual_projection.weight\" is missing"},
    {"vision", "dims vision_model.embeddings.position_embedding.weight 1 64",
     "the vision tower under \"\" has 1 positions for patches of 8 pixels: that is "},
    {"lora", "fill lora_te* nan", ".alpha\" is no number: the file is damaged"},
};

static void check_row(const Row *row, int number)
{
    const int kind = kind_of(row->kind);
    char file[64];
    snprintf(file, sizeof file, "hostile-%d.safetensors", number);
    write_edited(kind, row->edits, file);
    const NodusOutcome outcome = use(kind, file);
    if (getenv("SHOW_ROWS")) {
        printf("%s | %s => %d E:%s W:%s\n", row->kind, row->edits, outcome, outcome == NODUS_SUCCESS ? "" : lab.error,
               lab.warning);
        return;
    }
    const bool warns = row->says[0] == '~', fails = !warns && row->says[0];
    if ((outcome != NODUS_SUCCESS) != fails) fail_msg("%s, %s: outcome %d, %s", row->kind, row->edits, outcome, lab.error);
    if (fails && !strstr(lab.error, row->says)) fail_msg("%s, %s: %s", row->kind, row->edits, lab.error);
    if (warns && !strstr(lab.warning, row->says + 1)) fail_msg("%s, %s: warned of %s", row->kind, row->edits, lab.warning);
}

TEST(each_broken_file_has_its_message)
{
    for (size_t i = 0; i < NUMBERS; i++) plain[i] = 0.01f;
    const char *show = getenv("SHOW_ROWS");
    for (size_t i = show ? (size_t)atoi(show) : 0; i < sizeof rows / sizeof *rows; i++) check_row(&rows[i], (int)i);
}

TEST(good_files_work_afterwards)
{
    for (int i = 0; i < KINDS; i++)
        if (use(i, strchr(kinds[i].good, '/') + 1) != NODUS_SUCCESS) fail_msg("%s: %s", kinds[i].name, lab.error);
}

int main(void)
{
    const struct CMUnitTest cases[] = {CASE(each_broken_file_has_its_message), CASE(good_files_work_afterwards)};
    return cmocka_run_group_tests(cases, setup, teardown);
}
