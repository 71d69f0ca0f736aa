/* How winograd.c cuts outputs into tiles, and these into pieces of work. */

#include <unistd.h>

enum { MOST_TILES = 96, MOST_SHARED = 128 };

/* A tile of outputs: its image and its place in it, and how many tiles there are. */
typedef struct {
    long image, y, x;
    long left; /* Tiles from this one to the last. */
} place;

INLINE long across(const convolution_args *a, int side) { return (a->out_width + side - 1) / side; }
INLINE long down(const convolution_args *a, int side) { return (a->out_rows + side - 1) / side; }

INLINE place tile_at(const convolution_args *a, long tile, int side) {
    long columns = across(a, side), all = columns * down(a, side);
    return (place){tile / all, tile % all / columns * side, tile % columns * side, all * a->images - tile};
}

INLINE void advance(const convolution_args *a, place *at, int side) {
    at->left--;
    if ((at->x += side) < a->out_width) return;
    at->x = 0;
    if ((at->y += side) < a->out_rows) return;
    at->y = 0;
    at->image++;
}

/* Tiles of an image. */
INLINE long tiles_of_image(const convolution_args *a) {
    const int side = sides_of(a->taps).out;
    return across(a, side) * down(a, side);
}

/* From one place of the transformed tiles to the next, for `values` of each tile: not a power of two, which would put
 * all of them into a few lines of the first cache.
 */
INLINE long step_of(long tiles, long values) { return tiles * values + LINE; }

/* A core's second cache, in float32 values. */
static long cache_values(void) {
    long bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return (bytes > 0 ? bytes : 1 << 19) / 4;
}

/* All tiles are cut into pieces. A thread does a piece at a time: it transforms the inputs, then makes the outputs,
 * block by block of channels. The last pieces are smaller, so that no thread waits long for another at the end.
 *
 * Few tiles with large weights are `shared`: all threads transform the inputs first, and then do a block of a piece at
 * a time, so that a weight is read from memory by one thread.
 */
typedef struct {
    const convolution_args *a;
    product product;
    int shared;
    long pieces, large; /* How many there are, and how many of them are large. */
    long groups, units; /* Of all tiles: groups of the products, and small pieces. */
    long per;           /* Small pieces in a large one. */
    long v_step, v_size, m_step, m_size; /* In float32 values. */
    float *zeros, *sums, *v, *m;         /* Parts of the scratch. */
} plan;

/* The tile that a piece begins with. */
INLINE long piece_at(const plan *p, long piece) {
    const long unit = piece < p->large ? piece * p->per : piece + p->large * (p->per - 1);
    return unit * p->groups / p->units * p->product.group;
}

/* A piece has as many tiles as fit half of a core's cache with their products; more where the weights do not fit it
 * either, to read them seldom.
 */
static plan plan_of(const convolution_args *a, int threads) {
    const sides s = sides_of(a->taps);
    const long places = s.products * s.products, values = s.in * s.in * a->in + places * a->block;
    const long all = tiles_of_image(a) * a->images, cache = cache_values(), blocks = a->channels / a->block;
    const int many_weights = places * a->in * a->channels > cache;
    long tiles = many_weights ? MOST_TILES : cache / 2 / values / 24 * 24;
    tiles = tiles < 24 ? 24 : tiles > MOST_TILES ? MOST_TILES : tiles;
    const long cut = (all + tiles - 1) / tiles;
    plan p = {.a = a, .product = product_of(a->block), .shared = many_weights && all <= MOST_SHARED, .per = 1};
    p.groups = (all + p.product.group - 1) / p.product.group;
    if (!p.shared) p.per = p.groups < 3 * cut ? p.groups / cut : 3;
    const long least = p.shared ? (2 * threads + blocks - 1) / blocks : threads;
    p.units = p.per * cut > least ? p.per * cut : least;
    if (p.units > p.groups) p.units = p.groups;
    p.large = p.units > 2 * threads ? (p.units - 2 * threads) / p.per : 0;
    p.pieces = p.units - p.large * (p.per - 1);
    const long most = ((p.large ? p.per : 1) * p.groups + p.units - 1) / p.units * p.product.group;
    p.v_step = step_of(most, a->in);
    p.m_step = step_of(most, a->block);
    p.v_size = s.in * s.in * p.v_step;
    p.m_size = places * p.m_step;
    p.zeros = a->scratch;
    p.sums = p.zeros + a->in;
    p.v = p.sums + (a->epilogue ? all * 2 * a->channels : 0);
    p.m = p.v + (p.shared ? p.pieces : threads) * p.v_size;
    return p;
}
