// See crew.h. One job at a time: its tiles are numbers that caller and helpers take from one counter. A helper that comes
// late finds the job closed and goes; the caller leaves when nobody is inside. A helper looks out for the next job for
// kWatchNs after one, since pictures of a view that is being turned follow each other, then sleeps.
#include "crew.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

namespace {

const int kMostHelpers = 63;
const long kWatchNs = 50000;
const int kPauses = 32;        // between two looks at the clock
const int kYields = 64;        // of a caller who waits for the last tile, before he sleeps
const size_t kStack = 1 << 20;  // a tile of aligned.h keeps its blocks there

struct Job {
  CfRows work;
  const void* context;
  int rows, tile_rows;
};

struct Crew {
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t posted = PTHREAD_COND_INITIALIZER, left = PTHREAD_COND_INITIALIZER;
  int helpers = 0;
  bool knows_forks = false;
  Job job;
  // All below are changed and read as one order of steps.
  int busy = 0, open = 0, inside = 0, next = 0, status = 0, places = 0, sleeping = 0, waits = 0;
  unsigned turn = 0;
};

Crew crew;

int get(const int& of) { return __atomic_load_n(&of, __ATOMIC_SEQ_CST); }
unsigned get(const unsigned& of) { return __atomic_load_n(&of, __ATOMIC_SEQ_CST); }
void set(int& of, int value) { __atomic_store_n(&of, value, __ATOMIC_SEQ_CST); }
int add(int& to, int value) { return __atomic_fetch_add(&to, value, __ATOMIC_SEQ_CST); }

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

long now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

void take_tiles(const Job& job) {
  for (;;) {
    const long long begin = (long long)add(crew.next, 1) * job.tile_rows;
    if (begin >= job.rows || get(crew.status) != 0) return;
    const long long end = begin + job.tile_rows;
    const int status = job.work(job.context, (int)begin, (int)(end < job.rows ? end : job.rows));
    if (status != 0) set(crew.status, status);
  }
}

// Waits for a job after `seen`.
void await(unsigned seen) {
  const long until = now_ns() + kWatchNs;
  do {
    for (int i = 0; i < kPauses; ++i) {
      if (get(crew.turn) != seen) return;
      pause_briefly();
    }
  } while (now_ns() < until);
  pthread_mutex_lock(&crew.lock);
  add(crew.sleeping, 1);
  while (get(crew.turn) == seen) pthread_cond_wait(&crew.posted, &crew.lock);
  add(crew.sleeping, -1);
  pthread_mutex_unlock(&crew.lock);
}

void* helper(void*) {
  unsigned seen = 0;
  for (;;) {
    await(seen);
    seen = get(crew.turn);
    add(crew.inside, 1);
    if (get(crew.open) && add(crew.places, -1) > 0) take_tiles(crew.job);
    if (add(crew.inside, -1) == 1 && get(crew.waits)) {
      pthread_mutex_lock(&crew.lock);
      pthread_cond_signal(&crew.left);
      pthread_mutex_unlock(&crew.lock);
    }
  }
  return nullptr;
}

// A child of fork has none of its parent's threads, and nothing of what they had begun.
void forget() {
  crew = Crew();
  crew.knows_forks = true;
}

// As many helpers as are wanted, or as can be had.
void enlist(int wanted) {
  if (!crew.knows_forks) crew.knows_forks = pthread_atfork(nullptr, nullptr, forget) == 0;
  pthread_attr_t how;
  if (crew.helpers >= wanted || pthread_attr_init(&how) != 0) return;
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&how, kStack);
  for (pthread_t thread; crew.helpers < wanted && pthread_create(&thread, &how, helper, nullptr) == 0;) ++crew.helpers;
  pthread_attr_destroy(&how);
}

void post(const Job& job, int helpers) {
  crew.job = job;
  crew.next = crew.status = 0;
  set(crew.places, helpers);
  set(crew.open, 1);
  __atomic_fetch_add(&crew.turn, 1u, __ATOMIC_SEQ_CST);
  if (get(crew.sleeping) == 0) return;
  pthread_mutex_lock(&crew.lock);
  for (int i = 0; i < helpers; ++i) pthread_cond_signal(&crew.posted);
  pthread_mutex_unlock(&crew.lock);
}

void await_helpers() {
  set(crew.open, 0);
  for (int i = 0; i < 16 * kPauses && get(crew.inside) != 0; ++i) pause_briefly();
  for (int i = 0; i < kYields && get(crew.inside) != 0; ++i) sched_yield();
  if (get(crew.inside) == 0) return;
  pthread_mutex_lock(&crew.lock);
  set(crew.waits, 1);
  while (get(crew.inside) != 0) pthread_cond_wait(&crew.left, &crew.lock);
  set(crew.waits, 0);
  pthread_mutex_unlock(&crew.lock);
}

}  // namespace

int cf_crew_run(CfRows work, const void* context, int rows, int tile_rows, int threads) {
  const int tiles = rows > 0 ? (rows - 1) / tile_rows + 1 : 0;
  int helpers = (threads < tiles ? threads : tiles) - 1;
  if (helpers > kMostHelpers) helpers = kMostHelpers;
  if (helpers < 1 || __atomic_exchange_n(&crew.busy, 1, __ATOMIC_SEQ_CST)) return rows > 0 ? work(context, 0, rows) : 0;
  enlist(helpers);
  const Job job = {work, context, rows, tile_rows};
  post(job, helpers);
  take_tiles(job);
  await_helpers();
  const int status = get(crew.status);
  set(crew.busy, 0);
  return status;
}
