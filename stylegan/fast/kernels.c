/* The steps beside the convolution, each in one pass over memory.
 *
 * A plain C interface for ctypes: it knows nothing of torch or Python. Features are [images, rows, width, channels].
 * They may be float32 or bfloat16; all arithmetic is float32, and statistics are summed in float64.
 * Work is shared out by rows to the threads of the caller's OpenMP runtime, if it has handed one over. A row's sums do
 * not depend on who computes it, and are added up in order: results are the same for any number of threads.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "common.h"

typedef float vec8 __attribute__((vector_size(32)));
typedef float vec4 __attribute__((vector_size(16)));

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
    for (long k = 0; k < c; k += LANES) {
        long n = full ? LANES : c - k;
        vec mean = load(a->mean + image * c + k, n), scale = load(a->scale + image * c + k, n);
        vec shift = load(a->shift + image * c + k, n);
        for (long p = k; p < a->width * c; p += c)
            store_as(a->out.data, out + p, (load_as(a->x.data, x + p, n, x16) - mean) * scale + shift, n, out16);
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

/* The epilogue: out = activation(x + noise * strength + bias), and the sums of out and of its square.
 *
 * With `up`, x holds 2x2 blocks [images, rows / 2 + 1, width / 2 + 1, 2, 2, channels], which reach over the border by
 * one pixel; the filter comes first, with zeros beyond the border.
 */

typedef struct {
    array x, out;
    const float *noise; /* [images or 1, rows, width]; NULL = none */
    long noise_image;
    const float *strength, *bias; /* [channels] */
    const float *taps;            /* The filter's three, for `up`; NULL = none. */
    double *sums;                 /* [images * rows, 2, channels] */
    long rows, width, channels;
    float slope;
    int first, last; /* The rows begin, end at the border. */
} epilogue_args;

/* Bias, noise, activation and sums of one row that lies at x, in blocks so that float32 sums stay short. */
INLINE void activate_row(const epilogue_args *a, const void *x, long start, long row, int x16, int out16, int full) {
    long image = row / a->rows, c = a->channels, w = a->width;
    long out = image * a->out.image + row % a->rows * w * c;
    const float *noise = a->noise ? a->noise + image * a->noise_image + row % a->rows * w : NULL;
    double *sums = a->sums + row * 2 * c;
    memset(sums, 0, 2 * c * sizeof *sums);
    for (long block = 0; block < w; block += BLOCK) {
        long end = block + BLOCK < w ? block + BLOCK : w;
        for (long k = 0; k < c; k += LANES) {
            long n = full ? LANES : c - k;
            vec bias = load(a->bias + k, n), sum = {0}, square = {0};
            vec strength = noise ? load(a->strength + k, n) : bias;
            for (long p = block; p < end; p++) {
                vec v = load_as(x, start + p * c + k, n, x16) + bias;
                if (noise) v += noise[p] * strength;
                v = where_positive(v, v, v * a->slope);
                store_as(a->out.data, out + p * c + k, v, n, out16);
                sum += v;
                square += v * v;
            }
            add_to(sums + k, sum, n);
            add_to(sums + c + k, square, n);
        }
    }
}

INLINE void epilogue_work_body(const void *args, long row, int thread) {
    (void)thread;
    const epilogue_args *a = args;
    long start = row / a->rows * a->x.image + row % a->rows * a->width * a->channels;
    if (a->x.bfloat16) SPECIALIZE(activate_row, a->out.bfloat16 != 0, a, a->x.data, start, row, 1)
    else SPECIALIZE(activate_row, a->out.bfloat16 != 0, a, a->x.data, start, row, 0)
}
VARIANTS(epilogue_work)

/* line[0 .. width + 1] = three rows of the enlarged features, weighted, from the pixel before the border on. */
INLINE void sum_rows(const epilogue_args *a, float *line, long image, long row, const float *taps, int x16, int full) {
    long c = a->channels, blocks = a->width / 2 + 1, step = blocks * 4 * c;
    long start[3];
    for (long i = 0; i < 3; i++) start[i] = image * a->x.image + (row + i) / 2 * step + (row + i) % 2 * 2 * c;
    for (long j = 0; j < blocks; j++)
        for (long k = 0; k < 2 * c; k += LANES) {
            long n = full ? LANES : 2 * c - k, at = j * 4 * c + k;
            vec v = taps[0] * load_as(a->x.data, start[0] + at, n, x16);
            v += taps[1] * load_as(a->x.data, start[1] + at, n, x16);
            v += taps[2] * load_as(a->x.data, start[2] + at, n, x16);
            store(line + j * 2 * c + k, v, n);
        }
}

/* The filter over three rows, then along the row. */
INLINE void blur_row(const epilogue_args *a, float *line, long row, int x16, int full) {
    long image = row / a->rows, r = row % a->rows, c = a->channels, w = a->width;
    /* Rows r, r + 1 and r + 2 from the pixel before the band on; beyond the border, a tap of 0. */
    float taps[3] = {a->taps[0], a->taps[1], a->taps[2]};
    if (a->first && r == 0) taps[0] = 0;
    if (a->last && r == a->rows - 1) taps[2] = 0;
    sum_rows(a, line, image, r, taps, x16, full);
    memset(line, 0, c * sizeof *line);
    memset(line + (w + 1) * c, 0, c * sizeof *line);
    for (long k = 0; k < c; k += LANES) {
        long n = full ? LANES : c - k;
        vec left = load(line + k, n), middle = load(line + c + k, n);
        for (long p = 0; p < w; p++) {
            vec right = load(line + (p + 2) * c + k, n);
            store(line + p * c + k, a->taps[0] * left + a->taps[1] * middle + a->taps[2] * right, n);
            left = middle;
            middle = right;
        }
    }
}

INLINE void up_row(const epilogue_args *a, float *line, long row, int x16, int out16, int full) {
    long c = a->channels;
    if (a->taps) blur_row(a, line, row, x16, full);
    else {
        const float middle[3] = {0, 1, 0};
        sum_rows(a, line, row / a->rows, row % a->rows, middle, x16, full);
        line += c;
    }
    activate_row(a, line, 0, row, 0, out16, full);
}

INLINE void up_work_body(const void *args, long row, int thread) {
    (void)thread;
    const epilogue_args *a = args;
    float *line = malloc((a->width + 2) * a->channels * sizeof *line);
    if (!line) abort();
    if (a->x.bfloat16) SPECIALIZE(up_row, a->out.bfloat16 != 0, a, line, row, 1)
    else SPECIALIZE(up_row, a->out.bfloat16 != 0, a, line, row, 0)
    free(line);
}
VARIANTS(up_work)

PUBLIC void stylegan_epilogue(const epilogue_args *a, long images, int up, int threads) {
    for_each((up ? up_work : epilogue_work)[capability], a, images * a->rows, threads);
}

/* RGB: out[o] = sum over channels of x * weight[o] + bias[o], with the normalization folded into them. */

typedef struct {
    array x;
    const float *weight, *bias; /* [images, img_channels, channels], [images, img_channels] */
    float *out;                 /* [images, img_channels, rows, width], with these steps: */
    long out_image, out_channel;
    long rows, width, channels, img_channels;
} rgb_args;

INLINE float total(vec v) {
    vec8 a[2];
    vec4 b[2];
    memcpy(a, &v, sizeof a);
    a[0] += a[1];
    memcpy(b, a, sizeof b);
    b[0] += b[1];
    return b[0][0] + b[0][1] + (b[0][2] + b[0][3]);
}

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
