/* Waits for a byte inside of the C library, with a stream's lock held. */
#include <stdio.h>

int main(void) {
    puts("ready");
    fflush(stdout);
    return getchar() == EOF;
}
