/* Matrix products for winograd.c and direct.c, with AVX2 or AVX-512. */

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,fma")))

enum { LINE = 16 }; /* Floats of a line of the caches. */

typedef struct {
    const float *v, *u, *next_v, *next_u;
    long ahead; /* Eighths of next_u to fetch. */
} factors;

/* m[0 .. rows - 1][0 .. columns * W - 1] = sum over k of v[.][k] * u[k][.], all sums in registers of W lanes. What
 * will be read next is fetched meanwhile, since waiting for all of it at once takes as long as the products.
 */
#define MULTIPLY(name, W)                                                                                       \
    INLINE void name(factors f, float *m, long in, long step, int rows, int columns) {                          \
        typedef float reg __attribute__((vector_size(4 * W)));                                                  \
        typedef reg loose_reg __attribute__((aligned(4), may_alias));                                           \
        reg sum[24];                                                                                            \
        _Pragma("GCC unroll 24") for (int i = 0; i < rows * columns; i++) sum[i] = (reg){0};                    \
        for (long part = 0; part < in; part += 8) {                                                             \
            const float *next_u = f.next_u + part / 8 * columns * W * f.ahead;                                  \
            for (long i = 0; i < columns * W * f.ahead; i += LINE) __builtin_prefetch(next_u + i);              \
            __builtin_prefetch(f.next_v + part / 8 * LINE);                                                     \
            _Pragma("GCC unroll 8") for (long k = part; k < part + 8; k++) {                                    \
                reg b[4];                                                                                       \
                _Pragma("GCC unroll 4") for (int j = 0; j < columns; j++)                                       \
                    b[j] = *(const loose_reg *)(f.u + (k * columns + j) * W);                                   \
                _Pragma("GCC unroll 24") for (int i = 0; i < rows; i++) {                                       \
                    float a = f.v[i * in + k];                                                                  \
                    _Pragma("GCC unroll 4") for (int j = 0; j < columns; j++) sum[i * columns + j] += a * b[j]; \
                }                                                                                               \
            }                                                                                                   \
        }                                                                                                       \
        _Pragma("GCC unroll 24") for (int i = 0; i < rows; i++)                                                 \
            _Pragma("GCC unroll 4") for (int j = 0; j < columns; j++)                                           \
                *(loose_reg *)(m + i * step + j * W) = sum[i * columns + j];                                    \
    }
MULTIPLY(multiply_8, 8)
MULTIPLY(multiply_16, 16)

typedef void (*multiply_fn)(const factors *f, float *m, long in, long step);
AVX2 static void multiply_avx2(const factors *f, float *m, long in, long step) {
    multiply_8(*f, m, in, step, 6, 2);
}
AVX512 static void multiply_avx512_64(const factors *f, float *m, long in, long step) {
    multiply_16(*f, m, in, step, 6, 4);
}
AVX512 static void multiply_avx512_32(const factors *f, float *m, long in, long step) {
    multiply_16(*f, m, in, step, 12, 2);
}
AVX512 static void multiply_avx512_16(const factors *f, float *m, long in, long step) {
    multiply_16(*f, m, in, step, 24, 1);
}

/* How many channels are multiplied together, for how many tiles, and by what. */
typedef struct {
    long panel, group;
    multiply_fn multiply;
} product;

static product product_of(long block) {
    if (capability < 2) return (product){16, 6, multiply_avx2};
    if (block == 64) return (product){64, 6, multiply_avx512_64};
    if (block == 32) return (product){32, 12, multiply_avx512_32};
    return (product){16, 24, multiply_avx512_16};
}

/* m[row][0 .. block - 1] = rows of v times u, [block / panel, in, panel]: whole groups of rows. What comes after u, and
 * next_v, will be read next.
 */
INLINE void multiply_rows(
    const product *p, const float *v, const float *u, const float *next_v, float *m, long rows, long in, long block) {
    const long groups = (rows + p->group - 1) / p->group, ahead = (groups + 7) / groups;
    for (long j = 0; j < block; j += p->panel, u += p->panel * in) {
        const float *next_u = u + p->panel * in;
        for (long t = 0; t < groups * p->group; t += p->group) {
            factors f = {v + t * in, u, next_v, next_u, ahead};
            p->multiply(&f, m + t * block + j, in, block);
            next_v += in / 8 * LINE;
            next_u += in / 8 * p->panel * ahead;
        }
    }
}
