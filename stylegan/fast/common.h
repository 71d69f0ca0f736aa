/* What the kernels share: vectors, arrays, threads. */

#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef float vec __attribute__((vector_size(4 * LANES)));

/* Features in memory: float32 or bfloat16. */
typedef struct {
    void *data;
    long image; /* Values from one image to the next. */
    int bfloat16;
} array;

/* Do work(args, 0 .. count - 1, thread), shared out to the threads. */
typedef void (*work_fn)(const void *args, long i, int thread);
void for_each(work_fn work, const void *args, long count, int threads);
