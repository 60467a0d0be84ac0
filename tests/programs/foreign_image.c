/* A process with an image of a major version that no reader knows. Says `ready` and waits. */
#include <stdint.h>
#include <unistd.h>

#include "image/image.h"

__attribute__((aligned(4096))) struct mt_image_header memtrace_image = {
    .magic = MT_IMAGE_MAGIC,
    .major = MT_IMAGE_MAJOR + 1,
    .minor = 0,
    .header_size = sizeof(struct mt_image_header),
    .self = (uint64_t)&memtrace_image,
    .state = MT_RECORDING_ON,
    .shard_count = 1,
};

int main(void) {
    char byte;
    if (write(1, "ready\n", 6) == 6)
        return read(0, &byte, 1) < 0;
    return 1;
}
