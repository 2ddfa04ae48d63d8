/* support_examples.h: a lab with every file that the workflows of graphs/ name: models of several families and layouts, pictures, a
 * latent. */
#ifndef TESTS_SUPPORT_EXAMPLES_H
#define TESTS_SUPPORT_EXAMPLES_H
#include "tests/support_lab.h"

/* Tests run in the repository's root. */
/* Fills a models folder that has the demo model. */
NodusStatus examples_models(const char *models);
/* `nodes`: as for lab_open. */
NodusStatus examples_open(Lab *lab, const NodusNode *const *nodes);
#endif
