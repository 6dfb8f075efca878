/*
 * A scalar C coder to compare with: the streams of docs/packet.md for one table, int32 values in and out, with 32 states as ours and
 * with 8 and 4, which suit a processor's registers better. Every variant is a function of constants that the compiler unfolds.
 *
 *   rans JOB     reads a job, checks that each variant gives the job's stream and values, prints a line a variant (its number,
 *                direction, lanes, bytes of its stream and name) and `ready`;
 *                then, for each number of a variant on its input, runs it once and prints its nanoseconds.
 *   job          little-endian: u32 precision, i32 low, u32 symbols (the escape is the last), u32 values (a multiple of 32), u32 bytes
 *                of the stream, u32 frequency of each symbol, i32 of each value, the stream of 32 lanes
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define LOW 32768u
/* Symbols between two looks at escapes and at the end of the stream. */
#define BLOCK 32
#define ESCAPED 0x80000000u
#define MOST_WORDS (5 * BLOCK)

/* What the encoder needs of a symbol: floor(x / f) is (x * reciprocal) >> 64, but x - 1 for f = 1, which `bias` mends. */
typedef struct {
  uint64_t reciprocal;
  uint32_t limit;
  uint16_t bias, complement;
} Symbol;

static uint32_t precision, symbols, count, stream_bytes;
static int32_t low;
static uint32_t *frequency;
static int32_t *values, *out;
static Symbol *table;
/* Of each slot: escape flag and symbol << 24 | f << 12 | slot - start. Only for 12 bits and up to 127 values. */
static uint32_t *packed;
/* Of each slot: escape flag << 31 | f << 15 | slot - start, and its value. */
static uint32_t *interval;
static int16_t *value_at;
static uint32_t likely_start, likely_frequency;
static int32_t likely_value;
static uint16_t *words;
static size_t words_capacity;

static void die(const char *what) {
  fprintf(stderr, "rans: %s\n", what);
  exit(1);
}

static Symbol symbol_of(uint32_t start, uint32_t f, uint32_t p) {
  Symbol s;
  s.reciprocal = f == 1 ? ~0ull : ~0ull / f + 1;
  s.limit = f << (31 - p);
  s.bias = f == 1 ? start + (1u << p) - 1 : start;
  s.complement = (1u << p) - f;
  return s;
}

INLINE uint32_t push(uint32_t x, const Symbol *s, uint16_t **w, const int branchless) {
  if (branchless) {
    uint32_t full = x >= s->limit;
    (*w)[-1] = x;
    *w -= full;
    x >>= 16 * full;
  } else if (x >= s->limit) {
    *--*w = x;
    x >>= 16;
  }
  uint32_t quotient = ((unsigned __int128)x * s->reciprocal) >> 64;
  return x + s->bias + quotient * s->complement;
}

static void push_raw(uint32_t *x, uint16_t **w, uint32_t bits, uint32_t value) {
  Symbol s = symbol_of(value, 1, bits);
  *x = push(*x, &s, w, 0);
}

/* A block that holds escapes. */
NOINLINE uint16_t *push_block_with_escapes(uint32_t *states, int lanes, const int32_t *block, uint16_t *w) {
  uint32_t alphabet = symbols - 1;
  for (int i = BLOCK - 1; i >= 0; i--) {
    uint32_t at = (uint32_t)block[i] - (uint32_t)low;
    if (at < alphabet) continue;
    int below = block[i] < low;
    uint32_t distance = below ? (uint32_t)(low - 1 - block[i]) : at - alphabet;
    uint32_t digits = 31 - __builtin_clz(distance + 1);
    uint32_t rest = (distance + 1) ^ (1u << digits);
    uint32_t *x = &states[i % lanes];
    if (digits > 15) push_raw(x, &w, digits - 15, rest >> 15);
    if (digits > 0) push_raw(x, &w, digits < 15 ? digits : 15, rest & 32767);
    push_raw(x, &w, 5, digits);
    push_raw(x, &w, 1, below);
  }
  for (int i = BLOCK - 1; i >= 0; i--) {
    uint32_t at = (uint32_t)block[i] - (uint32_t)low;
    states[i % lanes] = push(states[i % lanes], &table[at < alphabet ? at : alphabet], &w, 0);
  }
  return w;
}

/* Writes downwards from the end of `words`; returns where the first word stands, and the last states. */
INLINE uint16_t *encode(const int lanes, const int branchless, uint32_t *last) {
  uint32_t x[BLOCK];
  uint16_t *w = words + words_capacity;
  const Symbol *t = table;
  uint32_t alphabet = symbols - 1;
  for (int l = 0; l < lanes; l++) x[l] = LOW;
  for (const int32_t *block = values + count - BLOCK; block >= values; block -= BLOCK) {
    uint32_t outside = 0;
    for (int i = 0; i < BLOCK; i++) outside |= (uint32_t)block[i] - (uint32_t)low >= alphabet;
    if (__builtin_expect(outside, 0)) {
      uint32_t spilled[BLOCK];
      memcpy(spilled, x, 4 * lanes);
      w = push_block_with_escapes(spilled, lanes, block, w);
      memcpy(x, spilled, 4 * lanes);
      continue;
    }
    for (int i = BLOCK - lanes; i >= 0; i -= lanes) {
#pragma GCC unroll 8
      for (int l = lanes - 1; l >= 0; l--) x[l] = push(x[l], &t[block[i + l] - low], &w, branchless);
    }
  }
  memcpy(last, x, 4 * lanes);
  return w;
}

INLINE uint32_t refill(uint32_t x, const uint16_t **w, const int branchless) {
  if (branchless) {
    uint32_t empty = x < LOW;
    uint32_t more = (x << 16) | **w;
    *w += empty;
    return empty ? more : x;
  }
  return x < LOW ? (x << 16) | *(*w)++ : x;
}

static uint32_t pop_raw(uint32_t *x, const uint16_t **w, uint32_t bits) {
  uint32_t value = *x & ((1u << bits) - 1);
  *x = refill(*x >> bits, w, 0);
  return value;
}

/* Puts what follows an escape in the places where `escape` stands for one. */
NOINLINE const uint16_t *pop_escapes(uint32_t *states, int lanes, int32_t *block, int32_t escape, const uint16_t *w) {
  int32_t alphabet = symbols - 1;
  for (int i = 0; i < BLOCK; i++) {
    if (block[i] != escape) continue;
    uint32_t *x = &states[i % lanes];
    uint32_t below = pop_raw(x, &w, 1), digits = pop_raw(x, &w, 5);
    if (digits > 30) die("an escape of more than 30 digits");
    uint32_t rest = digits > 0 ? pop_raw(x, &w, digits < 15 ? digits : 15) : 0;
    if (digits > 15) rest |= pop_raw(x, &w, digits - 15) << 15;
    int32_t distance = (int32_t)((1u << digits) | rest) - 1;
    block[i] = below ? low - 1 - distance : low + alphabet + distance;
  }
  return w;
}

/* One symbol; `seen` gathers the escape flag. */
INLINE uint32_t pop(uint32_t x, int32_t *value, uint32_t *seen, const int is_packed, uint32_t p) {
  if (is_packed) {
    uint32_t e = packed[x & 4095];
    *seen |= e;
    *value = low + (int32_t)(e >> 24);
    return ((e >> 12) & 4095) * (x >> 12) + (e & 4095);
  }
  uint32_t slot = x & ((1u << p) - 1), e = interval[slot];
  *seen |= e;
  *value = value_at[slot];
  return ((e >> 15) & 32767) * (x >> p) + (e & 32767);
}

/* Fills `out`. With `likely`, four symbols at a time are first tried for the likeliest. */
INLINE void decode(const int lanes, const int is_packed, const int branchless, const int likely, const uint8_t *stream, size_t bytes) {
  uint32_t x[BLOCK];
  memcpy(x, stream, 4 * lanes);
  const uint16_t *w = (const uint16_t *)(stream + 4 * lanes), *end = (const uint16_t *)(stream + bytes);
  uint32_t p = precision, mask = (1u << p) - 1;
  uint32_t start = likely_start, f = likely_frequency;
  int32_t often = likely_value;
  int32_t escape = is_packed ? low + 128 + (int32_t)(symbols - 1) : INT16_MAX;
  for (int32_t *block = out; block < out + count; block += BLOCK) {
    uint32_t seen = 0;
    for (int i = 0; i < BLOCK; i += lanes) {
      for (int g = 0; g < lanes; g += 4) {
        if (likely) {
          uint32_t d[4];
#pragma GCC unroll 4
          for (int l = 0; l < 4; l++) d[l] = (x[g + l] & mask) - start;
          if ((d[0] < f) & (d[1] < f) & (d[2] < f) & (d[3] < f)) {
#pragma GCC unroll 4
            for (int l = 0; l < 4; l++) {
              block[i + g + l] = often;
              x[g + l] = refill(f * (x[g + l] >> p) + d[l], &w, branchless);
            }
            continue;
          }
        }
#pragma GCC unroll 4
        for (int l = 0; l < 4; l++) {
          x[g + l] = refill(pop(x[g + l], &block[i + g + l], &seen, is_packed, p), &w, branchless);
        }
      }
    }
    if (__builtin_expect(seen & ESCAPED, 0)) {
      uint32_t spilled[BLOCK];
      memcpy(spilled, x, 4 * lanes);
      w = pop_escapes(spilled, lanes, block, escape, w);
      memcpy(x, spilled, 4 * lanes);
    }
    if (__builtin_expect(w > end, 0)) die("a stream ends before its symbols do");
  }
  uint32_t wrong = w != end;
  for (int l = 0; l < lanes; l++) wrong |= x[l] ^ LOW;
  if (wrong) die("a stream holds more than its symbols");
}

#define ENCODE(L, B) \
  static uint16_t *encode_##L##_##B(uint32_t *last) { return encode(L, B, last); }
#define ENCODES(L) ENCODE(L, 0) ENCODE(L, 1)
ENCODES(4) ENCODES(8) ENCODES(32)

#define DECODE(L, P, B, K) \
  static void decode_##L##_##P##B##K(const uint8_t *stream, size_t bytes) { decode(L, P, B, K, stream, bytes); }
#define DECODES(L) \
  DECODE(L, 0, 0, 0) DECODE(L, 0, 0, 1) DECODE(L, 0, 1, 0) DECODE(L, 0, 1, 1) \
  DECODE(L, 1, 0, 0) DECODE(L, 1, 0, 1) DECODE(L, 1, 1, 0) DECODE(L, 1, 1, 1)
DECODES(4) DECODES(8) DECODES(32)

typedef struct {
  int lanes, packed;
  const char *name;
  uint16_t *(*encode)(uint32_t *last);
  void (*decode)(const uint8_t *stream, size_t bytes);
} Variant;

#define VARIANTS(L) \
  {L, 0, "branchy", encode_##L##_0, 0}, {L, 0, "branchless", encode_##L##_1, 0}, \
  {L, 0, "branchy", 0, decode_##L##_000}, {L, 0, "branchy, likely first", 0, decode_##L##_001}, \
  {L, 0, "branchless", 0, decode_##L##_010}, {L, 0, "branchless, likely first", 0, decode_##L##_011}, \
  {L, 1, "packed, branchy", 0, decode_##L##_100}, {L, 1, "packed, branchy, likely first", 0, decode_##L##_101}, \
  {L, 1, "packed, branchless", 0, decode_##L##_110}, {L, 1, "packed, branchless, likely first", 0, decode_##L##_111}
static const Variant variants[] = {VARIANTS(32), VARIANTS(8), VARIANTS(4)};
#define COUNT (int)(sizeof variants / sizeof *variants)

/* Streams by lanes, with room behind that a branchless step may read. */
static uint8_t *streams[BLOCK + 1];
static size_t stream_length[BLOCK + 1];

static void *room(size_t bytes) {
  void *p = calloc(1, bytes);
  if (!p) die("out of memory");
  return p;
}

static void take(void *to, size_t bytes, FILE *file) {
  if (fread(to, 1, bytes, file) != bytes) die("a job ends too early");
}

static void load(const char *path, uint8_t **stream) {
  FILE *file = fopen(path, "rb");
  if (!file) die("the job cannot be read");
  take(&precision, 4, file), take(&low, 4, file), take(&symbols, 4, file), take(&count, 4, file), take(&stream_bytes, 4, file);
  if (precision < 12 || precision > 15 || symbols < 2 || symbols > 1u << precision || count % BLOCK) die("not a job");
  frequency = room(4 * symbols), values = room(4 * (size_t)count), out = room(4 * (size_t)count), *stream = room(stream_bytes);
  take(frequency, 4 * symbols, file), take(values, 4 * (size_t)count, file), take(*stream, stream_bytes, file);
  fclose(file);
}

static void make_tables(void) {
  table = room(symbols * sizeof *table);
  packed = room(4 << 12), interval = room(4ull << precision), value_at = room(2ull << precision);
  for (uint32_t i = 0, start = 0; i < symbols; start += frequency[i++]) {
    uint32_t f = frequency[i], flag = i + 1 == symbols ? ESCAPED : 0;
    table[i] = symbol_of(start, f, precision);
    for (uint32_t k = 0; k < f; k++) {
      interval[start + k] = flag | f << 15 | k;
      value_at[start + k] = flag ? INT16_MAX : low + (int32_t)i;
      if (precision == 12) packed[start + k] = flag | i << 24 | f << 12 | k;
    }
    if (!flag && f > likely_frequency) likely_start = start, likely_frequency = f, likely_value = low + (int32_t)i;
  }
}

static double run(const Variant *v) {
  struct timespec a, b;
  uint32_t last[BLOCK];
  clock_gettime(CLOCK_MONOTONIC, &a);
  if (v->encode) {
    uint16_t *first = v->encode(last);
    /* The stream as a caller gets it: states and words in one piece of its own. */
    size_t bytes = (uint8_t *)(words + words_capacity) - (uint8_t *)first;
    uint8_t *to = streams[v->lanes];
    memcpy(to, last, 4 * v->lanes);
    memcpy(to + 4 * v->lanes, first, bytes);
    stream_length[v->lanes] = 4 * v->lanes + bytes;
  } else {
    v->decode(streams[v->lanes], stream_length[v->lanes]);
  }
  clock_gettime(CLOCK_MONOTONIC, &b);
  return (b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec);
}

int main(int argc, char **argv) {
  uint8_t *given;
  if (argc != 2) die("wants a job");
  load(argv[1], &given);
  make_tables();
  /* As much as escapes alone could take. */
  words_capacity = 5 * (size_t)count + MOST_WORDS;
  words = room(2 * words_capacity);
  for (int lanes = 4; lanes <= BLOCK; lanes *= 2) streams[lanes] = room(2 * words_capacity + 4 * BLOCK);
  int packs = precision == 12 && symbols <= 128;
  for (int i = 0; i < COUNT; i++) {
    const Variant *v = &variants[i];
    if (v->packed && !packs) continue;
    if (v->decode) memset(out, 0x55, 4 * (size_t)count);
    run(v);
    if (v->encode && v->lanes == BLOCK && (stream_length[BLOCK] != stream_bytes || memcmp(streams[BLOCK], given, stream_bytes)))
      die("the encoder's stream is another than the given one");
    if (v->decode && memcmp(out, values, 4 * (size_t)count)) die("the decoder's values are others than the given ones");
    printf("%d %s %d %zu %s\n", i, v->encode ? "encode" : "decode", v->lanes, stream_length[v->lanes], v->name);
  }
  printf("ready\n");
  fflush(stdout);
  for (int i; scanf("%d", &i) == 1 && i >= 0 && i < COUNT;) {
    printf("%.0f\n", run(&variants[i]));
    fflush(stdout);
  }
  return 0;
}
