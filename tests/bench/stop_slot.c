/* For a process that measures itself: writes a stop into the recorder's image, as a debugger would. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

#define SLOT 0

static struct mt_image_header *image;

/* 0: the process is recorded. */
int find_image(void) {
    image = dlsym(RTLD_DEFAULT, MT_IMAGE_SYMBOL);
    return image != NULL && image->state == MT_RECORDING_ON ? 0 : -1;
}

/* `kind` 0 takes it away. */
void set_stop(uint32_t kind, uint64_t argument) {
    image->stops[SLOT] = (struct mt_stop){.kind = kind, .argument = argument};
    image->stops_state |= MT_STOPS_CHANGED;
}

/* 0: the recorder has seen what was set last, and it has not been met. */
int is_waiting(uint32_t kind) {
    return image->stops[SLOT].kind == kind && image->stops[SLOT].is_over == 0 &&
                   (image->stops_state & MT_STOPS_CHANGED) == 0
               ? 0
               : -1;
}
