// Task bodies that check what a pool promises.
#include <stdint.h>

extern "C" {
void attnc_parallel(int64_t tasks, int threads, void (*body)(void *context, int64_t task, int worker), void *context);

struct record {
  int64_t *times_run;   // of each task
  int32_t *in_use;      // of each worker's number
  int64_t threads;
  int64_t work;         // steps that a task takes
  int64_t present, most_present, faults;
  int64_t inner_tasks;  // each task makes a call of its own with so many
};

static void labour(int64_t steps) {
  for (volatile int64_t i = 0; i < steps; i++) {}
}
static void inner(void *context, int64_t, int) { __atomic_add_fetch((int64_t *)context, 1, __ATOMIC_RELAXED); }

void check(void *context, int64_t task, int worker) {
  record *const r = (record *)context;
  if (worker < 0 || worker >= r->threads) {
    __atomic_add_fetch(&r->faults, 1, __ATOMIC_RELAXED);
    return;
  }
  if (__atomic_exchange_n(&r->in_use[worker], 1, __ATOMIC_ACQ_REL)) __atomic_add_fetch(&r->faults, 1, __ATOMIC_RELAXED);
  const int64_t present = __atomic_add_fetch(&r->present, 1, __ATOMIC_ACQ_REL);
  int64_t most = __atomic_load_n(&r->most_present, __ATOMIC_RELAXED);
  while (present > most && !__atomic_compare_exchange_n(&r->most_present, &most, present, false, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED)) {}
  __atomic_add_fetch(&r->times_run[task], 1, __ATOMIC_RELAXED);
  labour(r->work);
  if (r->inner_tasks) {
    int64_t count = 0;
    attnc_parallel(r->inner_tasks, (int)r->threads, inner, &count);
    if (count != r->inner_tasks) __atomic_add_fetch(&r->faults, 1, __ATOMIC_RELAXED);
  }
  __atomic_sub_fetch(&r->present, 1, __ATOMIC_ACQ_REL);
  __atomic_exchange_n(&r->in_use[worker], 0, __ATOMIC_ACQ_REL);
}
}
