/* Takes the room that the loader keeps for thread-local storage of libraries that come later, until none is left; then
 * waits for a byte, says `done`, and ends. full_tls LIBRARY...: of this same file, with -DBYTES=N. */
#ifdef BYTES

__thread char room[BYTES] __attribute__((tls_model("initial-exec"), aligned(8), visibility("default")));
char *use_room(void);
char *use_room(void) {
    return room;
}

#else

#include <dlfcn.h>
#include <unistd.h>

int main(int count, char **libraries) {
    char byte;
    int refused = 0;
    for (int i = 1; i < count; i++)
        refused += dlopen(libraries[i], RTLD_NOW) == 0;
    if (refused == 0 || refused == count - 1)
        return 2;
    return write(1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1 || write(1, "done\n", 5) != 5;
}

#endif
