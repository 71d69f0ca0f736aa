/* What the kernels share: vectors, arrays, threads. */

#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

/* What the processor has, as far as it may be used: 0 = what the compiler assumes, 1 = AVX2, 2 = AVX-512. */
extern int capability;

/* One function, several instruction sets: VARIANTS(work) defines work[0 .. 2] from work_body, an INLINE function. */
#define VARIANT(name, body, ...)                                                                \
    __VA_ARGS__ static void name(const void *args, long i, int thread) { body(args, i, thread); }
#if defined(__x86_64__) && defined(__GNUC__)
#define VARIANTS(work)                                                                          \
    VARIANT(work##_any, work##_body)                                                            \
    VARIANT(work##_avx2, work##_body, __attribute__((target("avx2,fma"))))                      \
    VARIANT(work##_avx512, work##_body, __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))) \
    static const work_fn work[] = {work##_any, work##_avx2, work##_avx512};
#else
#define VARIANTS(work)                                                                          \
    VARIANT(work##_any, work##_body)                                                            \
    static const work_fn work[] = {work##_any, work##_any, work##_any};
#endif

/* As many as a register of AVX2 has: compilers keep wider vectors in memory where registers are narrower. */
enum { LANES = 8 };
enum { BLOCK = 64 }; /* Pixels whose sums are added up in float32. */
typedef float vec __attribute__((vector_size(4 * LANES)));
/* The same anywhere in memory: a memcpy of it may become two halves, and to read those together takes long. */
typedef vec loose_vec __attribute__((aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t half __attribute__((vector_size(2 * LANES)));

/* Features in memory: float32 or bfloat16. */
typedef struct {
    void *data;
    long image; /* Values from one image to the next. */
    int bfloat16;
} array;

/* Do work(args, 0 .. count - 1, thread), shared out to the threads. */
typedef void (*work_fn)(const void *args, long i, int thread);
void for_each(work_fn work, const void *args, long count, int threads);

/* A row function for either type of features, and for channels that fill whole vectors. */
#define SPECIALIZE(function, type, ...)                                         \
    switch ((type) * 2 + (a->channels % LANES == 0)) {                          \
    case 0: function(__VA_ARGS__, 0, 0); break;                                 \
    case 1: function(__VA_ARGS__, 0, 1); break;                                 \
    case 2: function(__VA_ARGS__, 1, 0); break;                                 \
    case 3: function(__VA_ARGS__, 1, 1); break;                                 \
    }

/* Load and store n channels, at most LANES; the others are zero. */
INLINE vec load(const float *p, long n) {
    vec v = {0};
    if (n >= LANES) v = *(const loose_vec *)p;
    else memcpy(&v, p, 4 * n);
    return v;
}

INLINE void store(float *p, vec v, long n) {
    if (n >= LANES) *(loose_vec *)p = v;
    else memcpy(p, &v, 4 * n);
}

INLINE vec load_as(const void *base, long i, long n, int bfloat16) {
    if (!bfloat16) return load((const float *)base + i, n);
    half h = {0};
    memcpy(&h, (const uint16_t *)base + i, n >= LANES ? (long)sizeof h : 2 * n);
    bits b = __builtin_convertvector(h, bits) << 16;
    vec v;
    memcpy(&v, &b, sizeof v);
    return v;
}

/* To bfloat16 the nearest, ties to even; NaN stays NaN. */
INLINE void store_as(void *base, long i, vec v, long n, int bfloat16) {
    if (!bfloat16) {
        store((float *)base + i, v, n);
        return;
    }
    bits b;
    memcpy(&b, &v, sizeof b);
    bits rounded = (b + 0x7FFF + ((b >> 16) & 1)) >> 16;
    bits nan = (bits)(v != v);
    half h = __builtin_convertvector((rounded & ~nan) | (nan & 0x7FC0), half);
    memcpy((uint16_t *)base + i, &h, n >= LANES ? (long)sizeof h : 2 * n);
}

/* yes where v is positive, else no. */
INLINE vec where_positive(vec v, vec yes, vec no) {
    bits positive = (bits)(v > 0), y, n;
    memcpy(&y, &yes, sizeof y);
    memcpy(&n, &no, sizeof n);
    y = (y & positive) | (n & ~positive);
    memcpy(&v, &y, sizeof v);
    return v;
}

INLINE float total(vec v) {
    typedef float vec4 __attribute__((vector_size(16)));
    vec4 a[2];
    memcpy(a, &v, sizeof a);
    a[0] += a[1];
    return a[0][0] + a[0][1] + (a[0][2] + a[0][3]);
}

INLINE void add_to(double *sums, vec v, long n) {
    for (long i = 0; i < LANES && i < n; i++) sums[i] += v[i];
}
