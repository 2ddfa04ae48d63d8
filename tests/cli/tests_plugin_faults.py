"""Plug-ins that load and then misbehave while a node or a sampler of theirs runs, and plug-ins that change what the whole process shares:
what can be told is an error of that node, the next prompt runs, and what others compute stays the same, bit for bit."""
import json
import os
import signal
import time

from harness import TESTS, check, contains, same, test
from support import show_text, text_to_image
from tests_plugins import FILL, compile_plugin, report

OUT = "return nodus_emit_tensor(call, 0, \"IMAGE\", out);"
BAD_RUN = [  # name, what the function does instead of giving its picture, what is said (None: nothing, the run succeeds)
    ("it gives a number for a picture", "return nodus_emit_int(call, 0, 1);", "emits a INT into slot 0, which has another type"),
    ("it gives a text for a picture", 'return nodus_emit_string(call, 0, "x");', "emits a STRING into slot 0, which has another type"),
    ("it gives to a slot that does not exist", "NODUS_TRY(nodus_emit_tensor(call, 0, \"IMAGE\", out)); return nodus_emit_int(call, 7, 1);", "slot 7, which does not exist"),
    ("it gives to the last slot of all numbers", "return nodus_emit_int(call, 0xffffffffu, 1);", "which does not exist"),
    ("it gives nothing", "return NULL;", "TestFill gave nothing to its output 0 (IMAGE)"),
    ("it gives two values", "NODUS_TRY(nodus_emit_tensor(call, 0, \"IMAGE\", out)); " + OUT, "gave several values to its output 0"),
    ("it gives a NULL tensor", 'return nodus_emit_tensor(call, 0, "IMAGE", NULL);', "emits nothing (NULL) into slot 0"),
    ("it gives a NULL payload", "return nodus_emit(call, 0, &type, NULL);", "emits nothing (NULL) into slot 0"),
    ("it gives of no type", "return nodus_emit(call, 0, NULL, out);", "something of no type (NULL)"),
    ("it gives a tensor of no known type", 'return nodus_emit_tensor(call, 0, "NOBODYS", out);', "NOBODYS is no type of tensors"),
    ("it gives a tensor as a latent", 'return nodus_emit_tensor(call, 0, "LATENT", out);', "LATENT is no type of tensors"),
    ("it gives a thing that it calls a picture", 'static NodusType fake = {.struct_size = sizeof fake, .name = "IMAGE", .free = type_free}; static int thing; '
     "return nodus_emit(call, 0, &fake, &thing);", "a type that its plug-in did not register"),
    ("it gives of a type that it did not register", 'static NodusType fake = {.struct_size = sizeof fake, .name = "FAKE", .free = type_free}; static int thing; '
     "return nodus_emit(call, 0, &fake, &thing);", "a type that its plug-in did not register"),
    ("it gives a picture of one axis", 'NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 1, (int64_t[]){5}, 0)); ' + OUT, "1 channels"),
    ("it gives a picture of no channels", 'NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 4, (int64_t[]){1, 4, 4, 0}, 0)); ' + OUT, ""),
    ("it gives a picture of seven channels", 'NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 4, (int64_t[]){1, 4, 4, 7}, 0)); ' + OUT, ""),
    ("it gives a picture of NaN", "NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out, in->image, 0, NAN)); " + OUT, None),
    ("it gives a picture of infinities", "NODUS_TRY(nodus_tensor_affine(nodus_math(call), &out, in->image, 0, INFINITY)); " + OUT, None),
    ("it asks for more memory than there is", "return nodus_alloc(call, (size_t)-1 / 2) ? NULL : nodus_error(NODUS_ERROR_MEMORY, \"none left\");", "none left"),
    ("it makes a tensor beyond all numbers", "return nodus_tensor_fill(nodus_math(call), &out, 4, (int64_t[]){1ll << 40, 1ll << 40, 9, 9}, 0);", ""),
    ("it makes a tensor larger than the memory", "return nodus_tensor_fill(nodus_math(call), &out, 2, (int64_t[]){1ll << 30, 1ll << 14}, 0);", "memory"),
    ("it makes a tensor of negative sides", "return nodus_tensor_fill(nodus_math(call), &out, 2, (int64_t[]){-1, 4}, 0);", ""),
    ("it makes a tensor of a hundred axes", "return nodus_tensor_fill(nodus_math(call), &out, 100, (int64_t[100]){1}, 0);", ""),
    ("it calculates with tensors that do not fit", "NODUS_TRY(nodus_tensor_fill(nodus_math(call), &out, 2, (int64_t[]){3, 5}, 0)); return nodus_tensor_add(nodus_math(call), &out, out, in->image);", ""),
    ("it slices beyond the end", "return nodus_tensor_slice(nodus_math(call), &out, in->image, 1, 5, 100);", ""),
    ("it slices an axis that is not there", "return nodus_tensor_slice(nodus_math(call), &out, in->image, 9, 0, 1);", ""),
    ("it reshapes to another size", "return nodus_tensor_reshape(nodus_math(call), &out, in->image, 2, (int64_t[]){3, 3});", ""),
    ("it permutes an axis twice", "return nodus_tensor_permute(nodus_math(call), &out, in->image, (int[]){0, 0, 1, 2});", ""),
    ("it puts nothing together", "return nodus_tensor_concat(nodus_math(call), &out, 0, 0, NULL);", ""),
    ("it resizes to nothing", "return nodus_tensor_resize(nodus_math(call), &out, in->image, 0, 4, 0);", ""),
    ("it fails with a text for an error", "return (NodusStatus)\"this is only a text, and no error that anybody made, is it?\";", "an error that is none"),
    ("it fails with an error that it freed", "NodusStatus s = nodus_error(NODUS_ERROR_INPUT, \"%0200d\", 1); nodus_error_free(s); return s;", "an error that is none"),
    ("it says that it was cancelled", 'return nodus_error(NODUS_ERROR_CANCELLED, "I do not want to");', "I do not want to"),
    ("it fails with control characters", 'return nodus_error(NODUS_ERROR_INPUT, "\\033[2Jgone");', "?[2Jgone"),
    ("it fails with a text that is no UTF-8", 'return nodus_error(NODUS_ERROR_INPUT, "a\\xff\\xfez");', "z"),
    ("it shows what is no JSON", 'return nodus_ui(call, "text", "{");', "no JSON"),
    ("it looks for a file outside", 'const char *path; return nodus_find_file(call, "checkpoints", "../../../etc/passwd", &path);', ""),
    ("it looks in a folder that is none", 'const char *path; return nodus_find_file(call, "../..", "passwd", &path);', ""),
    ("it asks for a folder that is none", 'const char *path; return nodus_folder(call, "etc", &path);', ""),
    ("it links to a child without a graph", 'return nodus_emit_link(call, 0, "child", 0);', "did not expand"),
    ("its graph has a node of no class", 'NodusGraph *g = nodus_graph(call); return nodus_graph_node(g, "a", "Nobody");', "Nobody"),
    ("its graph links to nobody", 'NodusGraph *g = nodus_graph(call); NODUS_TRY(nodus_graph_node(g, "a", "ImageInvert")); NODUS_TRY(nodus_graph_link(g, "a", "image", "b", 3)); '
     'NODUS_TRY(nodus_expand(call, g)); return nodus_emit_link(call, 0, "a", 0);', ""),
    ("its graph goes in a circle", 'NodusGraph *g = nodus_graph(call); NODUS_TRY(nodus_graph_node(g, "a", "ImageInvert")); NODUS_TRY(nodus_graph_link(g, "a", "image", "a", 0)); '
     'NODUS_TRY(nodus_expand(call, g)); return nodus_emit_link(call, 0, "a", 0);', ""),
    ("its graph has a literal that is no JSON", 'NodusGraph *g = nodus_graph(call); NODUS_TRY(nodus_graph_node(g, "a", "ImageInvert")); return nodus_graph_literal(g, "a", "image", "{{");', ""),
    ("it expands twice", 'NodusGraph *g = nodus_graph(call); NODUS_TRY(nodus_graph_node(g, "a", "EmptyImage")); NODUS_TRY(nodus_expand(call, g)); return nodus_expand(call, g);', ""),
    ("it expands into itself for ever", 'NodusGraph *g = nodus_graph(call); NODUS_TRY(nodus_graph_node(g, "a", "EmptyImage")); NODUS_TRY(nodus_graph_node(g, "b", "TestFill")); '
     'NODUS_TRY(nodus_graph_link(g, "b", "image", "a", 0)); NODUS_TRY(nodus_expand(call, g)); return nodus_emit_link(call, 0, "b", 0);', ""),
    ("it reports progress that is no number", "NODUS_TRY(nodus_progress(call, NAN, 0, in->image)); NODUS_TRY(nodus_expect(call, \"x\", NAN)); " + OUT, None),
    ("it warns of much", 'nodus_warn(call, "%0100000d", 1); ' + OUT, None),
    ("it leaks", "(void)!malloc(1 << 20); nodus_tensor_ref(in->image); nodus_error(NODUS_ERROR_INPUT, \"lost\"); " + OUT, None),
    ("it leaves a thread behind", "pthread_t t; pthread_create(&t, NULL, forever, NULL); " + OUT, None),
    ("it uses its call on a thread of its own", "pthread_t t; pthread_create(&t, NULL, emits, (void *[]){call, out}); pthread_join(t, NULL); return NULL;", None),
    ("it changes what it was given", "((float *)in)[0] = 0; " + OUT, None),
]
HELPERS = [("typedef struct {", "#include <pthread.h>\nstatic void *forever(void *x) { for (;;) pause(); return x; }\n"
            "static void *emits(void *x) { void **v = x; nodus_emit_tensor(v[0], 0, \"IMAGE\", v[1]); return NULL; }\ntypedef struct {"),
           ("static NodusStatus run(", "static NodusType type;\nstatic void type_free(void *payload);\nstatic NodusStatus run(")]


def run_beside(nodus, graph, *args):
    """That prompt, then one of another plug-in's node, in one process; the error event of the first and how both ended."""
    nodus.write("bad.json", graph)
    nodus.write("alive.json", show_text("alive"))
    code, events, err = nodus.events("run", "bad.json", "alive.json", "--plugin", "p.so", *args)
    check(code in (0, 1, 2), f"exit status {code}: {err[-800:]}")
    errors = [event["message"] for event in events if event["event"] == "error"]
    ends = [event["status"] for event in events if event["event"] == "finished"]
    same(len(ends), 2, f"prompts that ended ({err[-500:]})")
    same(ends[1], "success", "the prompt after it")
    return errors, ends[0], err


def bad_run(nodus, body, says):
    compile_plugin(nodus, edits=[(OUT, body)] + HELPERS, flags=["-pthread"])
    errors, end, err = run_beside(nodus, FILL)
    if says is None:
        same((end, errors), ("success", []), err[-500:])
    else:
        check(end != "success" and errors, f"it ended in {end} without an error: {err[-500:]}")
        contains(errors[0], says)
        json.dumps(errors[0]).encode()


for _name, _body, _says in BAD_RUN:
    TESTS.append(("plug-in misbehaves: " + _name, lambda nodus, body=_body, says=_says: bad_run(nodus, body, says)))


# ---- Samplers and schedulers ----------------------------------------------------------------------------------------------------

SAMPLE = "return s->denoise(s->context, x, s->sigmas[0], out, NULL);"
SCHEDULE = "for (int i = 0; i <= steps; i++) out[i] = levels->sigma_max * (float)(steps - i) / (float)steps;\n    return steps + 1;"
BAD_SAMPLING = [
    ("a sampler that gives nothing", SAMPLE, "return NULL;", "test_once"),
    ("a sampler that gives other channels", SAMPLE, "return nodus_tensor_fill(s->math, out, 4, (int64_t[]){1, 3, 8, 8}, 0);", "test_once"),
    ("a sampler that fails", SAMPLE, 'return nodus_error(NODUS_ERROR_INPUT, "I am tired");', "I am tired"),
    ("a sampler that fails with a text", SAMPLE, 'return (NodusStatus)"this is only a text, and no error that anybody made, is it?";', "an error that is none"),
    ("a scheduler without steps", SCHEDULE, "return 0;", "test_line"),
    ("a scheduler of a negative count", SCHEDULE, "return -5;", "test_line"),
    ("a scheduler that claims too many", SCHEDULE, "return capacity + 1000000;", "test_line"),
    ("a scheduler of NaN", SCHEDULE, "for (int i = 0; i <= steps; i++) out[i] = NAN; return steps + 1;", "test_line"),
]


def bad_sampling(nodus, old, new, says):
    compile_plugin(nodus, edits=[(old, new)])
    errors, end, err = run_beside(nodus, text_to_image(sampler_name="test_once", scheduler="test_line"))
    check(end != "success" and errors, f"it ended in {end} without an error: {err[-500:]}")
    contains(errors[0], says)


for _name, _old, _new, _says in BAD_SAMPLING:
    TESTS.append(("plug-in misbehaves: " + _name, lambda nodus, old=_old, new=_new, says=_says: bad_sampling(nodus, old, new, says)))


# ---- The process ----------------------------------------------------------------------------------------------------------------

MODES = "fesetround(FE_DOWNWARD); __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);"  # and denormal numbers become zero
MEDDLES = f'chdir("/"); setlocale(LC_ALL, "C.UTF-8") || setlocale(LC_ALL, "C.utf8"); signal(SIGTERM, SIG_IGN); signal(SIGPIPE, SIG_IGN); {MODES}'
INCLUDES = ("typedef struct {", "#include <fenv.h>\n#include <locale.h>\n#include <signal.h>\ntypedef struct {")


@test
def plugin_that_meddles_with_the_process_is_told_and_undone(nodus):
    compile_plugin(nodus, edits=[INCLUDES], before=MEDDLES)
    code, told, _ = report(nodus)
    same(code, 0, "exit status of the check")
    remarks = " | ".join(told["remarks"])
    for piece in ("working folder", "handles signal 15", "handles signal 13", "mode of floating-point arithmetic"):
        contains(remarks, piece, "the remarks")
    nodus.write("w.json", FILL)  # its folders are relative
    code, out, err = nodus.run("run", "w.json", "--plugin", "p.so")
    same((code, out), (0, "output/t_00001_.png\n"), err)


@test
def plugin_that_changes_the_mode_of_arithmetic_changes_nobody_elses_results(nodus):
    """While it is loaded, in its function, and on the engine's workers."""
    spoil = ("static NodusStatus run(", f"static void spoil(void *x, int64_t part) {{ {MODES} }}\nstatic NodusStatus run(")
    compile_plugin(nodus, edits=[INCLUDES, spoil, ("NodusTensor *out;", f"NodusTensor *out; {MODES} nodus_parallel(call, 64, spoil, NULL);")], before=MODES)
    nodus.write("f.json", FILL)
    nodus.write("s.json", text_to_image())
    code, _, err = nodus.run("run", "s.json", "--no-cache", "--dump", "5=a.npy", "--dump", "6=b.npy")
    same(code, 0, err)
    code, _, err = nodus.run("run", "f.json", "s.json", "--no-cache", "--plugin", "p.so", "--dump", "5=c.npy", "--dump", "6=d.npy")
    same(code, 0, err)
    for before, after in ("ac", "bd"):
        check(open(nodus.path(before + ".npy"), "rb").read() == open(nodus.path(after + ".npy"), "rb").read(), f"{after}.npy is another than {before}.npy")


@test
def plugin_that_hangs_on_trial_does_not_outlast_ctrl_c(nodus):
    """The trial would take 20 s; nothing of it is left running, and the verdict is not that it hangs."""
    compile_plugin(nodus, before="for (;;) pause();")
    nodus.write("w.json", show_text("alive"))
    for number in (signal.SIGINT, signal.SIGTERM):
        process = nodus.start("run", "w.json", "--plugin", "p.so")
        time.sleep(1.5)
        check(process.poll() is None, "it ended before the signal came")
        before = time.monotonic()
        process.send_signal(number)
        same(process.wait(timeout=15), 130, "exit status")
        check(time.monotonic() - before < 5, f"it took {time.monotonic() - before:.1f} s")
    check(not os.path.isdir(nodus.path("cache/nodus/plugins")) or not os.listdir(nodus.path("cache/nodus/plugins")), "a verdict was kept")


@test
def plugins_of_the_folder_stay_out_with_no_plugins(nodus):
    os.makedirs(nodus.path("plugins"))
    compile_plugin(nodus, "plugins/p.so")
    compile_plugin(nodus, "q.so", edits=[("TestFill", "Other"), ("TEST_THING", "OTHER_THING"), ("test_once", "other_once"), ("test_line", "other_line")])
    nodus.write("w.json", FILL)
    same(nodus.run("run", "w.json")[0], 0, "exit status with the folder's plug-in")
    code, _, err = nodus.run("run", "w.json", "--no-plugins")
    same(code, 2, "exit status without it")
    contains(err, "TestFill")
    names = json.loads(nodus.run("nodes", "--json", "--no-plugins", "--plugin", "q.so")[1])
    same(("TestFill" in names, "Other" in names), (False, True), "the folder's node, the named one's")
