/* The recorder's own life inside the process, in the order of its steps. */
#ifndef MEMTRACE_RECORDER_RECORDER_H
#define MEMTRACE_RECORDER_RECORDER_H

#include <stdbool.h>

#include "image/image.h"

/* The image and its tables, once mt_real is filled. Once: a further call says again what the first one did. false: no
 * memory, and the image is dormant. */
bool mt_recorder_build(void);
/* What recording needs outside of the image: our part in fork(), and the process's CPython, which is looked for again
 * as long as none was there. Where the loader may be asked. */
void mt_recorder_prepare(void);
/* Begins a session. Under the recorder's lock, or while there is one thread only. */
void mt_recorder_start(enum mt_level level);

#endif
