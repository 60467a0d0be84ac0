/* Binds the tests' libraries to the oldest symbol versions, so that one build runs on every glibc that the recorder
 * runs on: glibc 2.34 moved these into libc under new versions. Included by the compiler's command line. */
#ifndef MEMTRACE_TESTS_OLD_GLIBC_H
#define MEMTRACE_TESTS_OLD_GLIBC_H

__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.2.5");
__asm__(".symver pthread_barrier_init, pthread_barrier_init@GLIBC_2.2.5");
__asm__(".symver pthread_barrier_wait, pthread_barrier_wait@GLIBC_2.2.5");

#endif
