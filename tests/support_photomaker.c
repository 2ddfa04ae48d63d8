/* support_photomaker.c: see support_photomaker.h. */
#include "tests/support_photomaker.h"
#include "tests/support_families_inside.h"
#include "tests/support_paint.h"

enum { TOWER = 64, WORD = 128, FIRST = 32, SECOND = WORD - FIRST };

static NodusStatus fill(WeightSet *set)
{
    static const char fuse[] = "id_encoder.fuse_module.";
    NODUS_TRY(support_paint_tower(set, "id_encoder.vision_model."));
    NODUS_TRY(families_layer(set, "id_encoder.", "visual_projection", 2, FIRST, TOWER, 1, false));
    NODUS_TRY(families_layer(set, "id_encoder.", "visual_projection_2", 2, SECOND, TOWER, 1, false));
    NODUS_TRY(families_layer(set, fuse, "mlp1.layernorm", 1, 2 * WORD, 1, 1, true));
    NODUS_TRY(families_layer(set, fuse, "mlp1.fc1", 2, WORD, 2 * WORD, 1, true));
    NODUS_TRY(families_layer(set, fuse, "mlp1.fc2", 2, WORD, WORD, 1, true));
    NODUS_TRY(families_layer(set, fuse, "mlp2.layernorm", 1, WORD, 1, 1, true));
    NODUS_TRY(families_layer(set, fuse, "mlp2.fc1", 2, WORD, WORD, 1, true));
    NODUS_TRY(families_layer(set, fuse, "mlp2.fc2", 2, WORD, WORD, 1, true));
    return families_layer(set, fuse, "layer_norm", 1, WORD, 1, 1, true);
}

NodusStatus support_photomaker(const char *models)
{
    WeightSet *set;
    NODUS_TRY(weights_new(&set));
    NodusStatus status = fill(set);
    if (!status) status = families_write(set, models, "photomaker/photomaker.safetensors");
    weights_unref(set);
    return status;
}
