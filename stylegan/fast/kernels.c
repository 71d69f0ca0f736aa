/* The steps beside the convolution, each in one pass over memory.
 *
 * A plain C interface for ctypes: it knows nothing of torch or Python. Features are [images, rows, width, channels].
 * They may be float32 or bfloat16; all arithmetic is float32, and statistics are summed in float64.
 * Work is shared out by rows to the threads of the caller's OpenMP runtime, if it has handed one over. A row's sums do
 * not depend on who computes it, and are added up in order: results are the same for any number of threads.
 */

#include <stdatomic.h>

#include "epilogue.h"

/* Threads. */

typedef void (*parallel_fn)(void (*)(void *), void *, unsigned, unsigned);
static parallel_fn parallel = NULL;

/* run: GOMP_parallel of the OpenMP runtime to use; NULL = the calling thread alone. */
PUBLIC void stylegan_use_parallel(parallel_fn run) { parallel = run; }

typedef struct {
    work_fn work;
    const void *args;
    long count, step;
    atomic_long next;
    atomic_int threads;
} team;

static void share(void *data) {
    team *t = data;
    int thread = atomic_fetch_add(&t->threads, 1);
    for (long i; (i = atomic_fetch_add(&t->next, t->step)) < t->count;)
        for (long end = i + t->step < t->count ? i + t->step : t->count; i < end; i++) t->work(t->args, i, thread);
}

/* Instruction sets. */

int capability = 0;

/* Use as much of this processor as it has, and at most what is asked for; returns what is used. */
PUBLIC int stylegan_use_capability(int most) {
    int has = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) has = 1;
    if (has && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        has = 2;
#endif
    return capability = most < has ? most : has;
}

void for_each(work_fn work, const void *args, long count, int threads) {
    /* Neighbours go to one thread, in pieces small enough that none waits long for the others. */
    team t = {work, args, count, 1 + (count - 1) / (8 * threads), 0, 0};
    if (parallel && threads > 1 && count > 1) parallel(share, &t, threads < count ? threads : count, 0);
    else share(&t);
}

/* Normalization and style: out = (x - mean) * scale + shift. */

typedef struct {
    array x, out;
    const float *mean, *scale, *shift; /* [images, channels] */
    long rows, width, channels;
} normalize_args;

INLINE void normalize_row(const normalize_args *a, long row, int x16, int out16, int full) {
    long image = row / a->rows, c = a->channels, first = row % a->rows * a->width * c;
    long x = image * a->x.image + first, out = image * a->out.image + first;
    const float *mean = a->mean + image * c, *scale = a->scale + image * c, *shift = a->shift + image * c;
    for (long p = 0; p < a->width * c; p += c)
        for (long k = 0; k < c; k += LANES) {
            long n = full ? LANES : c - k;
            vec v = load_as(a->x.data, x + p + k, n, x16) - load(mean + k, n);
            store_as(a->out.data, out + p + k, v * load(scale + k, n) + load(shift + k, n), n, out16);
        }
}

INLINE void normalize_work_body(const void *args, long row, int thread) {
    (void)thread;
    const normalize_args *a = args;
    if (a->x.bfloat16) SPECIALIZE(normalize_row, a->out.bfloat16 != 0, a, row, 1)
    else SPECIALIZE(normalize_row, a->out.bfloat16 != 0, a, row, 0)
}
VARIANTS(normalize_work)

PUBLIC void stylegan_normalize(const normalize_args *a, long images, int threads) {
    for_each(normalize_work[capability], a, images * a->rows, threads);
}

/* The epilogue of a band. */

/* Where the sums of a row go; zeros to begin with. */
INLINE double *sums_of_row(const epilogue_args *a, long row) {
    return memset(a->sums + row * 2 * a->channels, 0, 2 * a->channels * sizeof *a->sums);
}

INLINE void end_block(const epilogue_args *a, double *sums, const block_sums *b, long k, long n) {
    add_to(sums + k, b->sum, n);
    add_to(sums + a->channels + k, b->square, n);
}

INLINE void activate_row(const epilogue_args *a, long row, int x16, int out16, int full) {
    const long c = a->channels, w = a->width, start = row / a->rows * a->x.image + row % a->rows * w * c;
    const row_place at = place_row(a, row / a->rows, row % a->rows);
    double *sums = sums_of_row(a, row);
    for (long block = 0; block < w; block += BLOCK) {
        long end = block + BLOCK < w ? block + BLOCK : w;
        for (long k = 0; k < c; k += LANES) {
            long n = full ? LANES : c - k;
            block_sums b = begin_block(a, k, n);
            for (long p = block; p < end; p++)
                activate(a, at, &b, load_as(a->x.data, start + p * c + k, n, x16), p, k, n, out16);
            end_block(a, sums, &b, k, n);
        }
    }
}

INLINE void epilogue_work_body(const void *args, long row, int thread) {
    (void)thread;
    const epilogue_args *a = args;
    if (a->x.bfloat16) SPECIALIZE(activate_row, a->out.bfloat16 != 0, a, row, 1)
    else SPECIALIZE(activate_row, a->out.bfloat16 != 0, a, row, 0)
}
VARIANTS(epilogue_work)

/* Three rows of 2x2 blocks, weighted: n channels that lie `offset` behind their beginnings. */
INLINE vec sum_rows(const epilogue_args *a, const long *starts, const float *taps, long offset, long n, int x16) {
    vec v = taps[0] * load_as(a->x.data, starts[0] + offset, n, x16);
    v += taps[1] * load_as(a->x.data, starts[1] + offset, n, x16);
    return v + taps[2] * load_as(a->x.data, starts[2] + offset, n, x16);
}

INLINE void up_row(const epilogue_args *a, long row, int x16, int out16, int full) {
    const long c = a->channels, w = a->width, r = row % a->rows, step = (w / 2 + 1) * 4 * c;
    const row_place at = place_row(a, row / a->rows, row % a->rows);
    double *sums = sums_of_row(a, row);
    /* Rows r, r + 1 and r + 2 from the pixel before the band on; beyond the border, a tap of 0. */
    const float none[3] = {0, 1, 0}, *across = a->taps ? a->taps : none;
    const float down[3] = {
        a->first && r == 0 ? 0 : across[0],
        across[1],
        a->last && r == a->rows - 1 ? 0 : across[2],
    };
    long starts[3];
    for (long i = 0; i < 3; i++) starts[i] = row / a->rows * a->x.image + (r + i) / 2 * step + (r + i) % 2 * 2 * c;
    for (long block = 0; block < w; block += BLOCK) {
        long end = block + BLOCK < w ? block + BLOCK : w;
        for (long k = 0; k < c; k += LANES) {
            long n = full ? LANES : c - k;
            block_sums b = begin_block(a, k, n);
            /* Pixels p - 1 to p + 2: the first is the left one of a 2x2 block. */
            vec left = {0}, middle = sum_rows(a, starts, down, block * 2 * c + c + k, n, x16), right, last;
            if (block > 0) left = sum_rows(a, starts, down, block * 2 * c + k, n, x16);
            for (long p = block; p < end; p += 2) {
                long next = (p + 2) * 2 * c + k;
                right = sum_rows(a, starts, down, next, n, x16);
                last = p + 2 < w ? sum_rows(a, starts, down, next + c, n, x16) : (vec){0};
                activate(a, at, &b, across[0] * left + across[1] * middle + across[2] * right, p, k, n, out16);
                activate(a, at, &b, across[0] * middle + across[1] * right + across[2] * last, p + 1, k, n, out16);
                left = right;
                middle = last;
            }
            end_block(a, sums, &b, k, n);
        }
    }
}

INLINE void up_work_body(const void *args, long row, int thread) {
    (void)thread;
    const epilogue_args *a = args;
    if (a->x.bfloat16) SPECIALIZE(up_row, a->out.bfloat16 != 0, a, row, 1)
    else SPECIALIZE(up_row, a->out.bfloat16 != 0, a, row, 0)
}
VARIANTS(up_work)

/* Add all rows' sums to those of the first row, in order: SUMS channels of an image. */
enum { SUMS = 64 };

INLINE void total_work_body(const void *args, long piece, int thread) {
    (void)thread;
    const epilogue_args *a = args;
    const long row = 2 * a->channels, pieces = (row + SUMS - 1) / SUMS, begin = piece % pieces * SUMS;
    double *sums = a->sums + piece / pieces * a->rows * row;
    for (long r = 1; r < a->rows; r++)
        for (long i = begin; i < begin + SUMS && i < row; i++) sums[i] += sums[r * row + i];
}
VARIANTS(total_work)

PUBLIC void stylegan_epilogue(const epilogue_args *a, long images, int up, int threads) {
    for_each((up ? up_work : epilogue_work)[capability], a, images * a->rows, threads);
    for_each(total_work[capability], a, images * ((2 * a->channels + SUMS - 1) / SUMS), threads);
}

/* RGB: out[o] = sum over channels of x * weight[o] + bias[o], with the normalization folded into them. */

typedef struct {
    array x;
    const float *weight, *bias; /* [images, img_channels, channels], [images, img_channels] */
    float *out;                 /* [images, img_channels, rows, width], with these steps: */
    long out_image, out_channel;
    long rows, width, channels, img_channels;
} rgb_args;

INLINE void rgb_row(const rgb_args *a, long row, int x16, int full) {
    long image = row / a->rows, r = row % a->rows, c = a->channels;
    long start = image * a->x.image + r * a->width * c;
    const float *weight = a->weight + image * a->img_channels * c, *bias = a->bias + image * a->img_channels;
    float *out = a->out + image * a->out_image + r * a->width;
    for (long p = 0; p < a->width; p++)
        for (long o = 0; o < a->img_channels; o++) {
            vec sum = {0};
            for (long k = 0; k < c; k += LANES) {
                long n = full ? LANES : c - k;
                sum += load_as(a->x.data, start + p * c + k, n, x16) * load(weight + o * c + k, n);
            }
            out[o * a->out_channel + p] = total(sum) + bias[o];
        }
}

INLINE void rgb_work_body(const void *args, long row, int thread) {
    (void)thread;
    const rgb_args *a = args;
    SPECIALIZE(rgb_row, a->x.bfloat16 != 0, a, row)
}
VARIANTS(rgb_work)

PUBLIC void stylegan_rgb(const rgb_args *a, long images, int threads) {
    for_each(rgb_work[capability], a, images * a->rows, threads);
}
