/* support_pixels.h: small pictures and masks for tests of nodes, and what such a test asks: these numbers come out, this input is blamed, and
 * what was known before the run is what came. */
#ifndef TESTS_SUPPORT_PIXELS_H
#define TESTS_SUPPORT_PIXELS_H
#include "tests/support_lab.h"
#include <nodus/node.h>

/* A lab that knows the nodes TestPicture, TestMask, TestLatent, TestSigmas and TestIndex: for cmocka_run_group_tests. */
extern Lab pixels_lab;
int pixels_setup(void **state);
int pixels_teardown(void **state);

#define NODE(id_, class_, inputs_) "\"" id_ "\": {\"class_type\": \"" class_ "\", \"inputs\": {" inputs_ "}}"
/* `values_`: numbers with blanks between, from the beginning again where they end; none: numbers from 0 to 1 that look random. */
#define PICTURE(id_, b_, h_, w_, c_, values_) \
    NODE(id_, "TestPicture", "\"b\": " #b_ ", \"h\": " #h_ ", \"w\": " #w_ ", \"c\": " #c_ ", \"values\": \"" values_ "\"")
#define MASK(id_, b_, h_, w_, values_) \
    NODE(id_, "TestMask", "\"b\": " #b_ ", \"h\": " #h_ ", \"w\": " #w_ ", \"values\": \"" values_ "\"")
/* The numbers of a latent stand in the order of its axes; `n_` noise levels. */
#define LATENT(id_, b_, c_, h_, w_, values_) \
    NODE(id_, "TestLatent", "\"b\": " #b_ ", \"h\": " #h_ ", \"w\": " #w_ ", \"c\": " #c_ ", \"values\": \"" values_ "\"")
#define SIGMAS(id_, n_, values_) NODE(id_, "TestSigmas", "\"w\": " #n_ ", \"values\": \"" values_ "\"")
/* A link to slot 0 of a node; node "9" with its picture from node "1". */
#define LINK(name_, id_) "\"" name_ "\": [\"" id_ "\", 0]"
#define ON(class_, more_) NODE("9", class_, LINK("image", "1") more_)

/* What the demanded node makes of `nodes` (joined by commas): node "9", slot. Fails the test when it fails. */
LabArray pixels_run(const char *nodes, uint32_t slot);
/* The same, compared: dimensions ("1 2 2 3") and numbers (as above), within `tolerance`. */
void pixels_expect(const char *nodes, uint32_t slot, const char *dims, const char *values, double tolerance);
#define EXPECT(nodes_, dims_, values_)     pixels_expect(nodes_, 0, dims_, values_, 0)
#define NEAR(nodes_, dims_, values_, tol_) pixels_expect(nodes_, 0, dims_, values_, tol_)
/* The workflow fails, before or while it runs, with a message that contains `piece`. */
void pixels_fails(const char *nodes, const char *piece);
/* For all `slots` of node "9": what its `infer` said is true, and it said all (0 for what it cannot know is allowed where `vague`). */
void pixels_agrees(const char *nodes, uint32_t slots, bool vague);
#endif
