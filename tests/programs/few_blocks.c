/* Two blocks, and then two more: `held` is set at each. */
#include <stdlib.h>

void *volatile held[4];

int main(void) {
    held[0] = malloc(1000);
    held[1] = calloc(1, 300);
    held[2] = malloc(5); /* the third event */
    held[3] = malloc(70000);
    return 0;
}
