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

#include "convolution.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include "products.h"
#include "transforms.h"
#include "tiles.h"

/* The weight: [channels / block, products, block / panel, in, panel], transformed. The epilogue: of 3 taps. */
enum { MOST_PRODUCTS = 49, MOST_PIXELS = 36 };

/* Where the pixels of a tile are; zeros for those beyond the border. */
INLINE void find_pixels(const convolution_args *a, place at, const float *zeros, const float **pixels, int side) {
    const float *first = (const float *)a->x.data + at.image * a->x.image + (at.y * a->width + at.x - 1) * a->in;
    int inside = at.x > 0 && at.x - 1 + side <= a->width && at.y + side <= a->rows;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            long x = at.x - 1 + j;
            int here = inside || (at.y + i < a->rows && x >= 0 && x < a->width);
            pixels[i * side + j] = here ? first + (i * a->width + j) * a->in : zeros;
        }
}

/* v[input][tile][channel] of some tiles, from `first` on. */
INLINE void read_tiles(
    const convolution_args *a, long first, long tiles, const float *zeros, float *v, long step, int taps) {
    const int side = sides_of(taps).in;
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
    const convolution_args *a, long first, long tiles, long channel, const float *m, long step, float *sums, int taps) {
    const epilogue_args *e = taps == 3 ? a->epilogue : NULL;
    const long block = a->block;
    const int products = sides_of(taps).products, side = sides_of(taps).out, pixels = taps == 3 ? 1 : 2;
    const long pixel = pixels * pixels * a->channels, row = a->out_width * pixel;
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

/* In float32 values. */
PUBLIC long stylegan_winograd_scratch(const convolution_args *a, int threads) {
    const plan p = plan_of(a, threads);
    return p.m - a->scratch + threads * p.m_size;
}

/* A block of channels of a piece, whose transformed inputs are v. */
INLINE void convolve_block(const plan *plan, long piece, const float *v, float *m, long channel, int taps) {
    const convolution_args *a = plan->a;
    const int side = sides_of(taps).in, products = sides_of(taps).products;
    const long first = piece_at(plan, piece), tiles = piece_at(plan, piece + 1) - first;
    const float *u = a->weight + channel * products * products * a->in, *slab = v;
    for (int p = 0; p < products * products; p++, u += a->block * a->in) {
        const int next = (p + 1) % (products * products);
        const float *next_slab =
            v + (input_of(next / products, taps) * side + input_of(next % products, taps)) * plan->v_step;
        multiply_rows(&plan->product, slab, u, next_slab, m + p * plan->m_step, tiles, a->in, a->block);
        slab = next_slab;
    }
    write_tiles(a, first, tiles, channel, m, plan->m_step, plan->sums, taps);
}

INLINE void do_piece(const plan *p, long piece, int thread, int taps) {
    const long first = piece_at(p, piece);
    float *v = p->v + thread * p->v_size, *m = p->m + thread * p->m_size;
    read_tiles(p->a, first, piece_at(p, piece + 1) - first, p->zeros, v, p->v_step, taps);
    for (long channel = 0; channel < p->a->channels; channel += p->a->block)
        convolve_block(p, piece, v, m, channel, taps);
}

/* The inputs of a group of tiles, to where all threads read them. */
INLINE void do_group(const plan *p, long group, int thread, int taps) {
    (void)thread;
    const long first = group * p->product.group;
    long piece = 0;
    while (piece_at(p, piece + 1) <= first) piece++;
    float *v = p->v + piece * p->v_size + (first - piece_at(p, piece)) * p->a->in;
    read_tiles(p->a, first, p->product.group, p->zeros, v, p->v_step, taps);
}

/* A block of a piece, with the inputs from there. */
INLINE void do_block(const plan *p, long task, int thread, int taps) {
    const long piece = task % p->pieces, channel = task / p->pieces * p->a->block;
    convolve_block(p, piece, p->v + piece * p->v_size, p->m + thread * p->m_size, channel, taps);
}

/* As functions for for_each, for either number of taps. */
#define WORK(name)                                                             \
    INLINE void name##_work_body(const void *args, long i, int thread) {       \
        if (((const plan *)args)->a->taps == 3) do_##name(args, i, thread, 3); \
        else do_##name(args, i, thread, 2);                                    \
    }                                                                          \
    VARIANTS(name##_work)
WORK(piece)
WORK(group)
WORK(block)

/* The sums of an image from those of its tiles: LANES of the [images, 2, channels], in order. */
INLINE void sums_work_body(const void *args, long piece, int thread) {
    (void)thread;
    const plan *p = args;
    const convolution_args *a = p->a;
    const long values = 2 * a->channels, image = piece * LANES / values, first = piece * LANES % values;
    double *to = memset(a->epilogue->sums + piece * LANES, 0, LANES * sizeof *to);
    const float *from = p->sums + image * tiles_of_image(a) * values + first;
    for (long t = 0; t < tiles_of_image(a); t++) add_to(to, load(from + t * values, LANES), LANES);
}
VARIANTS(sums_work)

PUBLIC void stylegan_winograd(const convolution_args *a, int threads) {
    const plan p = plan_of(a, threads);
    memset(p.zeros, 0, 4 * a->in);
    if (p.shared) {
        for_each(group_work[capability], &p, p.groups, threads);
        for_each(block_work[capability], &p, a->channels / a->block * p.pieces, threads);
    } else {
        for_each(piece_work[capability], &p, p.pieces, threads);
    }
    if (a->epilogue) for_each(sums_work[capability], &p, a->images * 2 * a->channels / LANES, threads);
}

/* How many channels of a block lie together in the weight; 0: these kernels are not for this processor. */
PUBLIC int stylegan_winograd_panel(int block) { return capability ? (int)product_of(block).panel : 0; }

#else

PUBLIC int stylegan_winograd_panel(int block) {
    (void)block;
    return 0;
}

#endif
