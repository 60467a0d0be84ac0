/* A program that has CPython in it. It says "ready" before it begins, while it is there, and after its end, and waits
 * for a line each time. */
#include <Python.h>

static void wait_here(void) {
    puts("ready");
    fflush(stdout);
    while (getchar() != '\n')
        ;
}

int main(void) {
    wait_here();
    Py_Initialize();
    wait_here();
    Py_FinalizeEx();
    wait_here();
    return 0;
}
