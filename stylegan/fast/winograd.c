/* Convolutions by Winograd's minimal filtering (Lavin and Gray 2016), float32, for processors with AVX2 or AVX-512.
 *
 * Kernels of 3x3 taps: a tile of 4x4 outputs takes 36 products in place of 144. Its points are 0, 5/8, -5/8, 3/2, -3/2
 * and infinity; those of the literature, 1 and 2 in place of 5/8 and 3/2, have twice the rounding error.
 *
 * Layers that double the size: kernels of 2x2 taps, four for the pixels of a block. A tile of 3x3 blocks, 36 pixels,
 * takes 49 products in place of 144. Its points are 0, 1, -1 and infinity. The taps of the two pixels along an axis are
 * (w0 + w1, w2) and (w0, w1 + w2): at 1 both have the value w0 + w1 + w2, so 7 products serve both.
 *
 * The products are matrix products over the channels, one for each place of the transformed tile, and take most of
 * the time.
 */

#include "epilogue.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <unistd.h>

#include "products.h"
#include "transforms.h"

enum { MOST_PRODUCTS = 49, MOST_PIXELS = 36, MOST_TILES = 96 };

typedef struct {
    array x;             /* [images, ., width, in], with a row above the first that the output is centred on */
    const float *weight; /* [channels / block, products, block / panel, in, panel], transformed */
    float *out;          /* [images, out_rows, out_width, channels], or with 2 taps [..., 2, 2, channels] */
    float *scratch;                     /* As much as stylegan_winograd_scratch says. */
    const epilogue_args *epilogue;      /* Done as the outputs of 3 taps are written, to its out; NULL = none. */
    long images, rows, width, in;       /* rows: of x */
    long out_rows, out_width, channels;
    long block;                         /* Channels whose products are made before they are transformed back. */
    int taps;                           /* 3 or 2 */
} winograd_args;

/* A tile of outputs: its image and its place in it, and how many tiles there are. */
typedef struct {
    long image, y, x;
    long left; /* Tiles from this one to the last. */
} place;

INLINE long across(const winograd_args *a, int side) { return (a->out_width + side - 1) / side; }
INLINE long down(const winograd_args *a, int side) { return (a->out_rows + side - 1) / side; }

INLINE place tile_at(const winograd_args *a, long tile, int side) {
    long columns = across(a, side), all = columns * down(a, side);
    return (place){tile / all, tile % all / columns * side, tile % columns * side, all * a->images - tile};
}

INLINE void advance(const winograd_args *a, place *at, int side) {
    at->left--;
    if ((at->x += side) < a->out_width) return;
    at->x = 0;
    if ((at->y += side) < a->out_rows) return;
    at->y = 0;
    at->image++;
}

/* Where the pixels of a tile are; zeros for those beyond the border. */
INLINE void find_pixels(const winograd_args *a, place at, const float *zeros, const float **pixels, int side) {
    const float *first = (const float *)a->x.data + at.image * a->x.image + (at.y * a->width + at.x - 1) * a->in;
    int inside = at.x > 0 && at.x - 1 + side <= a->width && at.y + side <= a->rows;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            long x = at.x - 1 + j;
            int here = inside || (at.y + i < a->rows && x >= 0 && x < a->width);
            pixels[i * side + j] = here ? first + (i * a->width + j) * a->in : zeros;
        }
}

/* From one place of the transformed tiles to the next, for `values` of each tile: not a power of two, which would put
 * all of them into a few lines of the first cache.
 */
INLINE long step_of(long tiles, long values) { return tiles * values + LINE; }

/* v[input][tile][channel] of some tiles, from `first` on. */
INLINE void read_tiles(const winograd_args *a, long first, long tiles, const float *zeros, float *v, int taps) {
    const int side = sides_of(taps).in;
    const long step = step_of(tiles, a->in);
    place at = tile_at(a, first, sides_of(taps).out);
    for (long t = 0; t < tiles && at.left > 0; t++, advance(a, &at, sides_of(taps).out)) {
        const float *pixels[MOST_PIXELS];
        find_pixels(a, at, zeros, pixels, side);
        for (long k = 0; k < a->in; k += LANES) {
            vec half[MOST_PIXELS], d[6];
            for (int j = 0; j < side; j++) {
#pragma GCC unroll 6
                for (int i = 0; i < side; i++) d[i] = load(pixels[i * side + j] + k, LANES);
                transform_input(d, taps);
#pragma GCC unroll 6
                for (int i = 0; i < side; i++) half[i * side + j] = d[i];
            }
            for (int i = 0; i < side; i++) {
#pragma GCC unroll 6
                for (int j = 0; j < side; j++) d[j] = half[i * side + j];
                transform_input(d, taps);
#pragma GCC unroll 6
                for (int j = 0; j < side; j++) store(v + (i * side + j) * step + t * a->in + k, d[j], LANES);
            }
        }
    }
}

/* The outputs of some tiles, a block of channels from `channel` on, from m[product][tile][channel]; with an epilogue
 * also their sums and those of their squares, [tiles, 2, channels].
 */
INLINE void write_tiles(
    const winograd_args *a, long first, long tiles, long channel, const float *m, float *sums, int taps) {
    const epilogue_args *e = taps == 3 ? a->epilogue : NULL;
    const long block = a->block;
    const int products = sides_of(taps).products, side = sides_of(taps).out, pixels = taps == 3 ? 1 : 2;
    const long pixel = pixels * pixels * a->channels, row = a->out_width * pixel, step = step_of(tiles, block);
    place at = tile_at(a, first, side);
    for (long t = 0; t < tiles && at.left > 0; t++, advance(a, &at, side)) {
        float *out = a->out + (at.image * a->out_rows + at.y) * row + at.x * pixel + channel;
        const int height = (at.y + side <= a->out_rows ? side : (int)(a->out_rows - at.y)) * pixels;
        const int width = (at.x + side <= a->out_width ? side : (int)(a->out_width - at.x)) * pixels;
        for (long k = 0; k < block; k += LANES) {
            vec half[MOST_PRODUCTS], d[7];
            block_sums b = e ? begin_block(e, channel + k, LANES) : (block_sums){0};
            for (int j = 0; j < products; j++) {
#pragma GCC unroll 7
                for (int i = 0; i < products; i++) d[i] = load(m + (i * products + j) * step + t * block + k, LANES);
                transform_output(d, taps);
#pragma GCC unroll 6
                for (int i = 0; i < side * pixels; i++) half[i * products + j] = d[i];
            }
            for (int i = 0; i < height; i++) {
#pragma GCC unroll 7
                for (int j = 0; j < products; j++) d[j] = half[i * products + j];
                transform_output(d, taps);
                if (e) {
                    const row_place row_at = place_row(e, at.image, at.y + i);
#pragma GCC unroll 4
                    for (int j = 0; j < 4; j++)
                        if (j < width) activate(e, row_at, &b, d[j], at.x + j, channel + k, LANES, e->out.bfloat16);
                    continue;
                }
                float *to = out + i / pixels * row + i % pixels * pixels * a->channels + k;
#pragma GCC unroll 6
                for (int j = 0; j < side * pixels; j++)
                    if (j < width) store(to + j / pixels * pixel + j % pixels * a->channels, d[j], LANES);
            }
            if (e) {
                store(sums + (first + t) * 2 * a->channels + channel + k, b.sum, LANES);
                store(sums + ((first + t) * 2 + 1) * a->channels + channel + k, b.square, LANES);
            }
        }
    }
}

/* A core's second cache, in float32 values. */
static long cache_values(void) {
    long bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return (bytes > 0 ? bytes : 1 << 19) / 4;
}

/* Tiles that are done together: as many as fit half of that cache with their products; more where the weights do not
 * fit it either, to read them seldom; and a share for each thread.
 */
static long tiles_of(const winograd_args *a, int threads) {
    const sides s = sides_of(a->taps);
    const long places = s.products * s.products, values = s.in * s.in * a->in + places * a->block;
    const long group = product_of(a->block).group, all = across(a, s.out) * down(a, s.out) * a->images;
    const long share = (all + threads - 1) / threads, cache = cache_values();
    long tiles = places * a->in * a->channels > cache ? MOST_TILES : cache / 2 / values / 24 * 24;
    tiles = tiles < 24 ? 24 : tiles > MOST_TILES ? MOST_TILES : tiles;
    return tiles < share ? tiles : (share + group - 1) / group * group;
}

/* A thread's, in float32 values. */
static long thread_scratch(const winograd_args *a, int threads) {
    const sides s = sides_of(a->taps);
    const long tiles = tiles_of(a, threads);
    return s.in * s.in * step_of(tiles, a->in) + s.products * s.products * step_of(tiles, a->block) + a->in;
}

/* Tiles of an image. */
INLINE long tiles_of_image(const winograd_args *a) {
    const int side = sides_of(a->taps).out;
    return across(a, side) * down(a, side);
}

/* In float32 values: what each thread needs, and the sums of all tiles. */
PUBLIC long stylegan_winograd_scratch(const winograd_args *a, int threads) {
    return threads * thread_scratch(a, threads) + (a->epilogue ? a->images * tiles_of_image(a) * 2 * a->channels : 0);
}

typedef struct {
    const winograd_args *a;
    product product;
    long tiles, scratch;
    float *sums;
} job;

INLINE void convolve_tiles(const job *job, long task, int thread, int taps) {
    const winograd_args *a = job->a;
    const int side = sides_of(taps).in, products = sides_of(taps).products;
    const long tiles = job->tiles, first = task * tiles, panel = job->product.panel, block = a->block;
    const long left = tile_at(a, first, sides_of(taps).out).left, needed = left < tiles ? left : tiles;
    const long v_step = step_of(tiles, a->in), m_step = step_of(tiles, block);
    float *v = a->scratch + thread * job->scratch;
    float *m = v + side * side * v_step, *zeros = m + products * products * m_step;
    memset(zeros, 0, 4 * a->in);
    read_tiles(a, first, tiles, zeros, v, taps);
    for (long channel = 0; channel < a->channels; channel += block) {
        const float *u = a->weight + channel * products * products * a->in;
        const float *slab = v;
        for (int p = 0; p < products * products; p++) {
            const float *next_slab = v;
            if (p + 1 < products * products)
                next_slab += (input_of((p + 1) / products, taps) * side + input_of((p + 1) % products, taps)) * v_step;
            const float *next_v = next_slab;
            for (long j = 0; j < block; j += panel, u += panel * a->in) {
                const float *next_u = u + panel * a->in;
                for (long t = 0; t < needed; t += job->product.group) {
                    factors f = {slab + t * a->in, u, next_v, next_u};
                    job->product.multiply(&f, m + p * m_step + t * block + j, a->in, block);
                    next_v += a->in / 8 * LINE;
                    next_u += a->in / 8 * panel;
                }
            }
            slab = next_slab;
        }
        write_tiles(a, first, tiles, channel, m, job->sums, taps);
    }
}

INLINE void winograd_work_body(const void *args, long task, int thread) {
    const job *job = args;
    if (job->a->taps == 3) convolve_tiles(job, task, thread, 3);
    else convolve_tiles(job, task, thread, 2);
}
VARIANTS(winograd_work)

/* The sums of an image from those of its tiles: LANES of the [images, 2, channels], in order. */
INLINE void sums_work_body(const void *args, long piece, int thread) {
    (void)thread;
    const job *job = args;
    const winograd_args *a = job->a;
    const long values = 2 * a->channels, image = piece * LANES / values, first = piece * LANES % values;
    double *to = memset(a->epilogue->sums + piece * LANES, 0, LANES * sizeof *to);
    const float *from = job->sums + image * tiles_of_image(a) * values + first;
    for (long t = 0; t < tiles_of_image(a); t++) add_to(to, load(from + t * values, LANES), LANES);
}
VARIANTS(sums_work)

PUBLIC void stylegan_winograd(const winograd_args *a, int threads) {
    const long scratch = thread_scratch(a, threads), all = tiles_of_image(a) * a->images;
    const job job = {a, product_of(a->block), tiles_of(a, threads), scratch, a->scratch + threads * scratch};
    for_each(winograd_work[capability], &job, (all + job.tiles - 1) / job.tiles, threads);
    if (a->epilogue) for_each(sums_work[capability], &job, a->images * 2 * a->channels / LANES, threads);
}

/* How many channels of a block lie together in the weight; 0: these kernels are not for this processor. */
PUBLIC int stylegan_winograd_panel(int block) { return capability ? (int)product_of(block).panel : 0; }

#else

PUBLIC int stylegan_winograd_panel(int block) {
    (void)block;
    return 0;
}

#endif
