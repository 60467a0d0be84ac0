/* Built as a library, it stands for a libmemtrace.so whose interface is not the adapters'. */
unsigned mt_abi(void);

unsigned mt_abi(void) {
    return 999;
}
