/* sampler: every sampler gives the reference's numbers on a toy model (numerics.md §4), and asks as often as expected. */
#include "engine/base/memory.h"
#include "nodes/diffusion/model_sampling.h"
#include "nodes/diffusion/noise.h"
#include "nodes/diffusion/noise_brownian.h"
#include "nodes/diffusion/sampler.h"
#include "tests/support.h"
#include "tests/test.h"
#include <math.h>

enum { COUNT = 256 };
static const int64_t shape[] = {1, 4, 8, 8};
static const float eps[] = {14.6146431f, 9.1029291f, 5.4783921f, 3.1686049f, 1.7494180f, 0.9140727f, 0.4469184f, 0.2013984f, 0.0819103f, 0.0291672f, 0};
static const float flow[] = {1, 0.9642857f, 0.9230770f, 0.8749999f, 0.8181818f, 0.75f, 0.6666667f, 0.5625f, 0.4285715f, 0.25f, 0};

typedef struct Toy {
    SupportMath support;
    Generator noise;
    const NodusSampling *sampling;
    Brownian *path; /* for samplers that follow one */
    ModelSampling levels;
    bool flow, brownian, any_reports;
    int calls, steps;
    int fail_at; /* this call of denoise fails; 0: none */
    const SamplerOptions *options;
} Toy;

/* U = x/(1+σ²), C = U + 0.25·tanh(x)/(1+σ), D = U + 2(C − U) */
static NodusStatus toy_denoise(void *context, const NodusTensor *x, float sigma, NodusTensor **denoised, NodusTensor **uncond)
{
    Toy *toy = context;
    const float *in;
    float out[COUNT], unconditional[COUNT];
    if (++toy->calls == toy->fail_at) return nodus_error(NODUS_ERROR_CANCELLED, "the toy fails");
    NODUS_TRY(nodus_tensor_map_f32(&toy->support.math, x, &in));
    for (int i = 0; i < COUNT; i++) {
        const float u = in[i] / (1 + sigma * sigma), c = u + 0.25f * tanhf(in[i]) / (1 + sigma);
        out[i] = u + 2 * (c - u);
        unconditional[i] = u;
    }
    if (uncond) NODUS_TRY(nodus_tensor_from_f32(&toy->support.math, uncond, 4, shape, unconditional));
    return nodus_tensor_from_f32(&toy->support.math, denoised, 4, shape, out);
}

static NodusStatus toy_noise(void *context, float from, float to, NodusTensor **out)
{
    Toy *toy = context;
    float numbers[COUNT];
    const NodusSampling *s = toy->sampling;
    if (toy->brownian && !toy->path) NODUS_TRY(brownian_of_sigmas(s->seed, s->sigmas, s->steps + 1, COUNT, &toy->path));
    if (toy->brownian) NODUS_TRY(brownian_noise(toy->path, from, to, numbers));
    else generator_normal(&toy->noise, numbers, COUNT);
    return nodus_tensor_from_f32(&toy->support.math, out, 4, shape, numbers);
}

static NodusStatus toy_add_noise(void *context, const NodusTensor *x, const NodusTensor *noise, float sigma, NodusTensor **out)
{
    Toy *toy = context;
    const float parts[] = {sigma, toy->flow ? 1 - sigma : 1};
    return nodus_tensor_lincomb(&toy->support.math, out, 2, parts, (const NodusTensor *[]){noise, x});
}

/* SD1's levels, or those of a flow shifted by 3. */
static float toy_percent_sigma(void *context, double percent)
{
    const Toy *toy = context;
    if (!toy->flow) return (float)model_sampling_percent(&toy->levels, percent);
    return (float)(3 * (1 - percent) / (1 + 2 * (1 - percent)));
}

static NodusStatus toy_step_done(void *context, int step, const NodusTensor *x, const NodusTensor *denoised)
{
    Toy *toy = context;
    /* dpm_fast reports several steps at once, dpm_adaptive as it gets on */
    if (!toy->any_reports) assert_true(step >= toy->steps - 1 && step < 10);
    toy->steps = step + 1;
    assert_non_null(x);
    assert_non_null(denoised);
    return NULL;
}

static NodusStatus toy_run(Toy *toy, const char *name, const float *sigmas, int steps, NodusTensor **out)
{
    const NodusSamplerDef *def = sampler_table;
    while (def->name && strcmp(def->name, name) != 0) def++;
    if (!def->name) return nodus_error(NODUS_ERROR_INPUT, "no sampler %s", name);
    const NodusSampling sampling = {
        .struct_size = sizeof sampling, .math = &toy->support.math, .context = toy, .seed = 42, .sigmas = sigmas, .steps = steps,
        .flow = toy->flow, .denoise = toy_denoise, .noise = toy_noise, .add_noise = toy_add_noise, .step_done = toy_step_done,
        .percent_sigma = toy_percent_sigma,
    };
    NodusTensor *noise, *x;
    generator_seed(&toy->noise, 42);
    NODUS_TRY(toy_noise(toy, 0, 0, &noise));
    generator_seed(&toy->noise, 42);
    NODUS_TRY(nodus_tensor_affine(&toy->support.math, &x, noise, toy->flow ? sigmas[0] : sqrtf(1 + sigmas[0] * sigmas[0]), 0));
    model_sampling_discrete(&toy->levels);
    toy->sampling = &sampling;
    toy->brownian = def->flags & NODUS_SAMPLER_BROWNIAN;
    NodusStatus status = def->run(&sampling, toy->options, x, out);
    brownian_free(toy->path);
    return status;
}

typedef struct Row { const char *name; int calls; double first[4], mean, std; } Row;

static void expect(const Row *row, bool is_flow)
{
    void **state_ = NULL;
    Toy toy = {.flow = is_flow};
    NodusTensor *out;
    const float *got;
    double sum = 0, squares = 0;
    assert_ok(support_math_open("ref", NULL, 1, &toy.support));
    assert_ok(toy_run(&toy, row->name, is_flow ? flow : eps, 10, &out));
    assert_ok(nodus_tensor_map_f32(&toy.support.math, out, &got));
    for (int i = 0; i < COUNT; i++) sum += got[i];
    for (int i = 0; i < COUNT; i++) squares += (got[i] - sum / COUNT) * (got[i] - sum / COUNT);
    for (int i = 0; i < 4; i++) assert_near(got[i], row->first[i], 2e-5 * fabs(row->first[i]));
    assert_near(sum / COUNT, row->mean, 2e-6);
    assert_near(sqrt(squares / (COUNT - 1)), row->std, 2e-5);
    assert_int_equal(toy.calls, row->calls);
    assert_int_equal(toy.steps, 10);
    support_math_close(&toy.support);
}

TEST(the_reference_on_eps_sigmas)
{
    static const Row rows[] = {
        {"euler", 10, {3.0261581, 2.6212587, 1.9990630, -3.1844642}, 0.1421792, 1.8830621},
        {"euler_cfg_pp", 10, {3.7419131, 3.3452127, 2.7468252, -3.8982210}, 0.2090940, 2.5506196},
        {"euler_ancestral", 10, {-2.1913958, -1.7233331, -2.7508626, -2.4316015}, -0.0324600, 1.9486479},
        {"euler_ancestral_cfg_pp", 10, {-2.4436913, -1.9958099, -3.0461900, -2.7345238}, -0.0335784, 2.1805406},
        {"heun", 19, {4.2809100, 3.7970245, 3.0859756, -4.4733534}, 0.2345783, 2.8807559},
        {"heunpp2", 27, {3.0999384, 2.6871173, 2.0573654, -3.2618361}, 0.1467874, 1.9369051},
        {"dpm_2", 19, {4.0271749, 3.5532696, 2.8544102, -4.2154598}, 0.2135694, 2.6668031},
        {"dpm_2_ancestral", 19, {-4.4851465, -4.3500781, -6.0105748, -5.9015551}, -0.0452145, 4.5187421},
        {"lms", 10, {3.4520338, 3.0076303, 2.3383689, -3.6273577}, 0.1685803, 2.1932480},
        {"dpm_fast", 10, {3.0836742, 2.6240306, 1.9542648, -3.2668064}, 0.1394967, 1.8714840},
        {"dpm_adaptive", 24, {3.5656950, 3.0987699, 2.4142485, -3.7516563}, 0.1769036, 2.2743139},
        {"dpmpp_2s_ancestral", 19, {-3.1466444, -2.8661032, -4.1366987, -3.9253149}, -0.0240339, 3.0045092},
        {"dpmpp_2s_ancestral_cfg_pp", 19, {-3.6309319, -3.3443530, -4.5179377, -4.2631512}, -0.0414697, 3.4002304},
        {"dpmpp_sde", 19, {-3.3544881, -0.1252401, -1.7759399, 2.3248363}, -0.0172283, 2.9830618},
        {"dpmpp_2m", 10, {3.8380501, 3.3511634, 2.6263623, -4.0309753}, 0.1910654, 2.4618824},
        {"dpmpp_2m_cfg_pp", 10, {5.3000894, 4.8176937, 4.1069770, -5.4919901}, 0.3313636, 3.8189774},
        {"dpmpp_2m_sde", 10, {-3.2824512, -1.6371429, -0.6730615, 2.3408012}, 0.0379621, 3.0648253},
        {"dpmpp_2m_sde_heun", 10, {-3.7501349, -1.9856243, -0.8948008, 2.7634013}, 0.0400092, 3.5070043},
        {"dpmpp_3m_sde", 10, {-3.9727807, -2.1545782, -0.1876133, 3.0340641}, 0.0326999, 3.7858694},
        {"ddpm", 10, {-2.1913891, -1.7233274, -2.7508559, -2.4315965}, -0.0324599, 1.9486426},
        {"lcm", 10, {-2.3859887, -1.6701468, -2.3103149, -0.7091696}, -0.0884834, 1.9007401},
        {"ipndm", 10, {3.8848424, 3.4162662, 2.7226508, -4.0708532}, 0.2010489, 2.5436988},
        {"ipndm_v", 10, {3.7226357, 3.2584794, 2.5664923, -3.9064615}, 0.1872086, 2.4017193},
        {"deis", 10, {3.5391040, 3.0820436, 2.3990161, -3.7199495}, 0.1734010, 2.2515013},
        {"res_multistep", 10, {3.9863884, 3.4837079, 2.7384181, -4.1858549}, 0.1999770, 2.5665307},
        {"res_multistep_cfg_pp", 10, {3.5459204, 3.0453072, 2.3103914, -3.7449746}, 0.1667793, 2.1954963},
        {"res_multistep_ancestral", 10, {-4.0645981, -3.3744040, -4.3843446, -3.5968015}, -0.1114862, 3.4350195},
        {"res_multistep_ancestral_cfg_pp", 10, {-2.2935562, -1.4838326, -2.5366189, -1.7799188}, -0.0493019, 1.9506516},
        {"gradient_estimation", 10, {4.0584297, 3.5590067, 2.8239627, -4.2570887}, 0.2082417, 2.6434314},
        {"gradient_estimation_cfg_pp", 10, {4.1608639, 3.6631417, 2.9350653, -4.3591642}, 0.2205200, 2.7480445},
        {"er_sde", 10, {2.5260787, 2.5619376, -1.6086901, -4.5674520}, 0.1528370, 2.4179678},
        {"seeds_2", 19, {-3.3123186, -2.8103328, -3.7115963, -2.3480844}, 0.0363424, 2.8726876},
        {"seeds_3", 28, {-2.8053694, -3.0694292, -3.5640960, 2.1532738}, 0.0142224, 3.4122508},
        {"sa_solver", 10, {-1.4068712, 3.1401658, -2.4974039, -3.8303666}, 0.1673548, 2.5638063},
        {"sa_solver_pece", 19, {-1.3004704, 3.3276663, -2.7008846, -4.0577316}, 0.1729429, 2.6923184},
        {"ddim", 10, {3.0261581, 2.6212587, 1.9990630, -3.1844642}, 0.1421792, 1.8830621},
        {"uni_pc", 10, {3.9922345, 3.5320995, 2.8491902, -4.1747770}, 0.2118644, 2.6527388},
        {"uni_pc_bh2", 10, {3.8961320, 3.4345493, 2.7503185, -4.0792890}, 0.2036077, 2.5656981},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) expect(&rows[i], false);
}

TEST(the_reference_on_flow_sigmas)
{
    static const Row rows[] = {
        {"euler", 10, {1.9638594, 1.6255980, 1.1038208, -2.0943742}, 0.0760969, 1.1003076},
        {"euler_cfg_pp", 10, {2.3693547, 2.0300727, 1.4854932, -2.4995003}, 0.1024211, 1.4146836},
        {"euler_ancestral", 10, {-0.9656760, 0.2043010, -0.6867026, -0.9689450}, -0.0188944, 0.8977956},
        {"euler_ancestral_cfg_pp", 10, {-1.2824819, -0.0745473, -0.8121339, -0.7947525}, -0.0346668, 0.9563445},
        {"heun", 19, {2.0873308, 1.7409608, 1.2026968, -2.2209401}, 0.0828316, 1.1855100},
        {"heunpp2", 27, {2.0300317, 1.6871575, 1.1565775, -2.1623745}, 0.0796882, 1.1458195},
        {"dpm_2", 19, {2.0766506, 1.7301277, 1.1923985, -2.2103610}, 0.0821293, 1.1771709},
        {"dpm_2_ancestral", 19, {-1.1939485, 0.2065308, -0.9472495, -1.2924902}, -0.0278700, 1.0900939},
        {"lms", 10, {2.0600691, 1.7145146, 1.1789199, -2.1934333}, 0.0812069, 1.1656001},
        {"dpm_fast", 10, {1.7676466, 1.4245839, 0.9273017, -1.9031405}, 0.0642613, 0.9563267},
        {"dpm_adaptive", 15, {1.7989720, 1.4535278, 0.9508620, -1.9352639}, 0.0658602, 0.9769187},
        {"dpmpp_2s_ancestral", 19, {-1.0985670, 0.2002090, -0.8421813, -1.1607897}, -0.0239199, 1.0093125},
        {"dpmpp_2s_ancestral_cfg_pp", 19, {1.9696270, 2.5085554, 0.6952130, -3.3126740}, 0.1483357, 2.0652354},
        {"dpmpp_sde", 19, {-1.0360870, -0.4143389, 0.2389991, 1.0756009}, 0.0270850, 1.0122060},
        {"dpmpp_2m", 10, {2.0692313, 1.7209703, 1.1815690, -2.2036543}, 0.0813938, 1.1693640},
        {"dpmpp_2m_cfg_pp", 10, {4.2748094, 3.9364650, 3.3939002, -4.4056988}, 0.2649877, 3.1127372},
        {"dpmpp_2m_sde", 10, {-0.8162357, -0.4875189, 0.0944893, 1.0365479}, 0.0366231, 1.0510772},
        {"dpmpp_2m_sde_heun", 10, {-0.8052203, -0.5564457, 0.0642655, 1.0737031}, 0.0340674, 1.0991120},
        {"dpmpp_3m_sde", 10, {-1.1759470, -0.4138520, 0.0423936, 0.7181187}, 0.0321317, 1.1799238},
        {"ddpm", 10, {1.0387938, 1.6521155, -0.0098403, -2.5591762}, 0.0672349, 1.4138637},
        {"lcm", 10, {-0.6305801, 0.5328528, 0.2686773, -0.0540454}, -0.0185296, 0.6632381},
        {"ipndm", 10, {2.0443306, 1.6993805, 1.1652827, -2.1774585}, 0.0802786, 1.1541656},
        {"ipndm_v", 10, {2.0643415, 1.7159296, 1.1773318, -2.1989393}, 0.0811114, 1.1658565},
        {"deis", 10, {2.0555153, 1.7098914, 1.1744184, -2.1889071}, 0.0809004, 1.1619847},
        {"res_multistep", 10, {2.0770655, 1.7280719, 1.1873810, -2.2117736}, 0.0817906, 1.1745218},
        {"res_multistep_cfg_pp", 10, {3.6413269, 3.3024826, 2.7607055, -3.7724843}, 0.2070519, 2.5325148},
        {"res_multistep_ancestral", 10, {0.9532720, 2.0045373, -0.0853671, -2.9581227}, 0.0602740, 1.6821159},
        {"res_multistep_ancestral_cfg_pp", 10, {2.1159086, 2.9457059, 1.3001812, -3.8132098}, 0.1577372, 2.3125196},
        {"gradient_estimation", 10, {2.0704560, 1.7222769, 1.1831050, -2.2048755}, 0.0814991, 1.1705242},
        {"gradient_estimation_cfg_pp", 10, {3.6982324, 3.3608084, 2.8234100, -3.8289828}, 0.2139407, 2.5924518},
        {"er_sde", 10, {-0.2986683, 0.7274003, -1.2451593, -2.2027817}, 0.0315028, 1.0651476},
        {"seeds_2", 19, {-0.8265594, -0.4495121, -0.8648748, 0.4082936}, -0.0042823, 0.9069733},
        {"seeds_3", 28, {-0.9785633, -0.6298380, -0.3714240, 2.1135919}, 0.0545460, 1.0107847},
        {"sa_solver", 10, {-0.6750886, -0.5617963, -1.2569115, -1.2247715}, -0.0015511, 0.9980837},
        {"sa_solver_pece", 19, {-0.7859436, -0.3923058, -1.2330880, -1.2778794}, -0.0005829, 1.0533589},
        {"ddim", 10, {1.9638594, 1.6255980, 1.1038208, -2.0943742}, 0.0760969, 1.1003076},
        {"uni_pc", 10, {2.0887206, 1.7393026, 1.1975961, -2.2235997}, 0.0824874, 1.1830614},
        {"uni_pc_bh2", 10, {2.0686657, 1.7210747, 1.1826657, -2.2028430}, 0.0814679, 1.1698285},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) expect(&rows[i], true);
}

TEST(a_sampler_keeps_nothing_but_its_result)
{
    for (const NodusSamplerDef *def = sampler_table; def->name; def++) {
        Toy toy = {0};
        NodusTensor *out;
        assert_ok(support_math_open("ref", NULL, 1, &toy.support));
        assert_ok(toy_run(&toy, def->name, eps, 10, &out));
        /* noise, start, result; and what was mapped stays: by the toy once a call, by dpm_adaptive once in three */
        const size_t mapped = strcmp(def->name, "dpm_adaptive") ? 0 : (size_t)toy.calls / 3;
        const size_t expected = 3 + (size_t)toy.calls + mapped;
        if (toy.support.math.scratch_count > expected)
            fail_msg("%s leaves %zu tensors, expected %zu", def->name, toy.support.math.scratch_count, expected);
        support_math_close(&toy.support);
    }
}

TEST(an_error_of_the_model_ends_the_sampling)
{
    for (const NodusSamplerDef *def = sampler_table; def->name; def++) {
        Toy toy = {.fail_at = 3};
        NodusTensor *out;
        assert_ok(support_math_open("ref", NULL, 1, &toy.support));
        assert_error(toy_run(&toy, def->name, eps, 10, &out), "the toy fails");
        assert_int_equal(toy.calls, 3);
        support_math_close(&toy.support);
    }
}

TEST(the_table_is_in_the_order_that_lists_show)
{
    static const char *const names[] = {
        "euler", "euler_cfg_pp", "euler_ancestral", "euler_ancestral_cfg_pp", "heun", "heunpp2", "dpm_2", "dpm_2_ancestral", "lms",
        "dpm_fast", "dpm_adaptive", "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu", "dpmpp_2m",
        "dpmpp_2m_cfg_pp", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde",
        "dpmpp_3m_sde_gpu", "ddpm", "lcm", "ipndm", "ipndm_v", "deis", "res_multistep", "res_multistep_cfg_pp",
        "res_multistep_ancestral", "res_multistep_ancestral_cfg_pp", "gradient_estimation", "gradient_estimation_cfg_pp", "er_sde",
        "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece", "ddim", "uni_pc", "uni_pc_bh2",
    };
    const size_t count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < count; i++) assert_string_equal(sampler_table[i].name, names[i]);
    assert_null(sampler_table[count].name);
}

TEST(flags_say_what_a_sampler_needs)
{
    static const char *const dropping[] = {"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2", NULL};
    for (const NodusSamplerDef *def = sampler_table; def->name; def++) {
        bool drops = false;
        for (int i = 0; dropping[i]; i++) drops |= !strcmp(def->name, dropping[i]);
        if (drops != !!(def->flags & NODUS_SAMPLER_DROPS_SIGMA)) fail_msg("%s: DROPS_SIGMA is wrong", def->name);
        const bool brownian = !strncmp(def->name, "dpmpp_", 6) && strstr(def->name, "_sde");
        if (brownian != !!(def->flags & NODUS_SAMPLER_BROWNIAN)) fail_msg("%s: BROWNIAN is wrong", def->name);
        if (!!strstr(def->name, "_cfg_pp") != !!(def->flags & NODUS_SAMPLER_NEEDS_UNCOND))
            fail_msg("%s: NEEDS_UNCOND is wrong", def->name);
    }
}

TEST(a_gpu_name_gives_the_same_numbers_as_the_plain_one)
{
    static const char *const names[][2] = {{"dpmpp_sde", "dpmpp_sde_gpu"}, {"dpmpp_3m_sde", "dpmpp_3m_sde_gpu"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Toy toy[2] = {{.steps = 0}, {.steps = 0}};
        const float *got[2];
        for (int k = 0; k < 2; k++) {
            NodusTensor *out;
            assert_ok(support_math_open("ref", NULL, 1, &toy[k].support));
            assert_ok(toy_run(&toy[k], names[i][k], eps, 10, &out));
            assert_ok(nodus_tensor_map_f32(&toy[k].support.math, out, &got[k]));
        }
        assert_memory_equal(got[0], got[1], COUNT * sizeof(float));
        for (int k = 0; k < 2; k++) support_math_close(&toy[k].support);
    }
}

/* The largest difference between two samplings of the toy, relative to the larger result. */
static double apart(const char *name, const SamplerOptions *options, const char *other, const SamplerOptions *other_options, bool is_flow)
{
    void **state_ = NULL;
    Toy toy[2] = {{.flow = is_flow, .options = options, .any_reports = true}, {.flow = is_flow, .options = other_options, .any_reports = true}};
    const float *got[2];
    double largest = 0, difference = 0;
    for (int k = 0; k < 2; k++) {
        NodusTensor *out;
        assert_ok(support_math_open("ref", NULL, 1, &toy[k].support));
        assert_ok(toy_run(&toy[k], k ? other : name, is_flow ? flow : eps, 10, &out));
        assert_ok(nodus_tensor_map_f32(&toy[k].support.math, out, &got[k]));
    }
    for (int i = 0; i < COUNT; i++) {
        largest = fmax(largest, fabs((double)got[0][i]));
        difference = fmax(difference, fabs((double)got[0][i] - (double)got[1][i]));
    }
    for (int k = 0; k < 2; k++) support_math_close(&toy[k].support);
    return difference / largest;
}

TEST(the_usual_options_are_those_of_none)
{
    for (const NodusSamplerDef *def = sampler_table; def->name; def++)
        assert_near(apart(def->name, &sampler_usual, def->name, NULL, false), 0, 0);
}

TEST(without_noise_an_ancestral_sampler_is_the_plain_one)
{
    static const char *const names[][2] = {{"euler_ancestral", "euler"},
                                           {"dpm_2_ancestral", "dpm_2"},
                                           {"euler_ancestral_cfg_pp", "euler_cfg_pp"},
                                           {"res_multistep_ancestral", "res_multistep"}};
    SamplerOptions options = sampler_usual;
    options.eta = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int f = 0; f < 2; f++) /* the others know flows only by their λ */
            if (!f || i < 2) assert_near(apart(names[i][0], &options, names[i][1], NULL, f), 0, 1e-5);
    assert_near(apart("dpmpp_2m_sde", &options, "dpmpp_2m", NULL, false), 0, 1e-5);
}

TEST(lms_of_the_first_order_is_euler)
{
    SamplerOptions options = sampler_usual;
    options.order = 1;
    assert_near(apart("lms", &options, "euler", NULL, false), 0, 1e-5);
    options.order = 100; /* as many as there are steps */
    assert_true(apart("lms", &options, "lms", NULL, false) > 1e-4);
}

TEST(each_option_makes_a_difference)
{
    const struct { const char *name; SamplerOptions options; } cases[] = {
#define WITH(name_, field_, value_) {name_, ({ SamplerOptions o = sampler_usual; o.field_ = value_; o; })}
        WITH("euler_ancestral", eta, 0.5f), WITH("euler_ancestral", s_noise, 0.5f), WITH("dpmpp_2s_ancestral", eta, 0.5f),
        WITH("dpmpp_2s_ancestral", s_noise, 0.5f), WITH("euler_ancestral_cfg_pp", eta, 0.5f), WITH("euler_ancestral_cfg_pp", s_noise, 0.5f),
        WITH("dpmpp_2m_sde", eta, 0.5f), WITH("dpmpp_2m_sde", s_noise, 0.5f), WITH("dpmpp_3m_sde", eta, 0.5f), WITH("dpmpp_3m_sde", s_noise, 0.5f),
        WITH("dpmpp_sde", eta, 0.5f), WITH("dpmpp_sde", s_noise, 0.5f), WITH("dpmpp_sde", r, 0.3f), WITH("dpmpp_sde", r, 0.8f),
        WITH("lms", order, 2), WITH("dpm_adaptive", order, 2), WITH("dpm_adaptive", adaptive.relative, 0.2f),
        WITH("dpm_adaptive", adaptive.absolute, 0.2f), WITH("dpm_adaptive", adaptive.first_step, 0.2f),
        WITH("dpm_adaptive", adaptive.safety, 0.98f), WITH("dpm_adaptive", adaptive.eta, 0.5f),
        WITH("dpm_adaptive", adaptive.proportional, 0.2), WITH("dpm_adaptive", adaptive.integral, 0.5),
        WITH("dpm_adaptive", adaptive.derivative, 0.1), WITH("er_sde", er.stages, 1), WITH("er_sde", er.stages, 2),
        WITH("er_sde", er.reverse_time, true), WITH("er_sde", s_noise, 0.5f), WITH("sa_solver", eta, 0.5f), WITH("sa_solver", s_noise, 0.5f),
        WITH("sa_solver", sa.predictor, 2), WITH("sa_solver", sa.corrector, 0), WITH("sa_solver", sa.corrector, 6),
        WITH("sa_solver", sa.simple_second, true), WITH("sa_solver", sa.window, true), WITH("sa_solver_pece", sa.predictor, 1),
#undef WITH
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!(apart(cases[i].name, &cases[i].options, cases[i].name, NULL, false) > 1e-6)) fail_msg("%s: case %zu changes nothing", cases[i].name, i);
}

TEST(an_adaptive_sampler_that_may_not_step_gives_up)
{
    Toy toy = {.any_reports = true};
    SamplerOptions options = sampler_usual;
    NodusTensor *out;
    options.adaptive.safety = 100; /* no step can grow so much */
    toy.options = &options;
    assert_ok(support_math_open("ref", NULL, 1, &toy.support));
    assert_error(toy_run(&toy, "dpm_adaptive", eps, 10, &out), "has not come to an end after 10000 steps");
    support_math_close(&toy.support);
}

/* One step, two, a part of a sampling, and lists that no scheduler makes: any numbers, but an end. */
TEST(odd_lists_of_sigmas_come_to_an_end)
{
    static const float lists[][5] = {{14, 0}, {14, 3, 0}, {14, 7, 3, 0}, {9, 4, 2, 1, 0.5f}, {5, 5, 5, 5, 0}, {4, 0, 4, 0, 0},
                                     {0, 0, 0, 0, 0}, {1, 2, 3, 4, 5}, {NAN, NAN, NAN, NAN, 0}, {INFINITY, 3, 2, 1, 0}};
    static const int steps[] = {1, 2, 3, 4, 4, 4, 4, 4, 4, 4};
    for (const NodusSamplerDef *def = sampler_table; def->name; def++)
        for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
            Toy toy = {.any_reports = true};
            NodusTensor *out;
            assert_ok(support_math_open("ref", NULL, 1, &toy.support));
            NodusStatus status = toy_run(&toy, def->name, lists[i], steps[i], &out);
            if (status) assert_non_null(strstr(nodus_error_message(status), "sigmas"));
            nodus_error_free(status);
            support_math_close(&toy.support);
        }
}

TEST_MAIN(CASE(the_reference_on_eps_sigmas), CASE(the_reference_on_flow_sigmas), CASE(a_sampler_keeps_nothing_but_its_result),
          CASE(an_error_of_the_model_ends_the_sampling), CASE(the_table_is_in_the_order_that_lists_show),
          CASE(flags_say_what_a_sampler_needs), CASE(a_gpu_name_gives_the_same_numbers_as_the_plain_one), CASE(odd_lists_of_sigmas_come_to_an_end),
          CASE(the_usual_options_are_those_of_none), CASE(without_noise_an_ancestral_sampler_is_the_plain_one),
          CASE(lms_of_the_first_order_is_euler), CASE(each_option_makes_a_difference), CASE(an_adaptive_sampler_that_may_not_step_gives_up))
