// The threads that generated kernels run on, shared by all kernels of a process, behind a C interface.
//
// A call puts its tasks on offer to workers that are free; the caller and each worker that comes take the next task
// from one counter until none is left. A worker that was asked but has not come by then is asked no longer, so that
// a call never waits for a thread to wake up. Calls at the same time share out the workers, at worst running alone.
// A worker waits spinning for a moment, then asleep. Only C headers: this compiles in a fraction of a second.
//
// Torch's threads (of OpenMP) spin for milliseconds after each of its operations and would keep workers off their
// processors. While they spin they are taken instead; once they sleep, waking them may take longer than waking workers.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

typedef void (*task_body)(void *context, int64_t task, int worker);

namespace {

const int most_workers = 512;
const int64_t spin_nanoseconds = 40000;
const uint32_t caller_sleeps = 1u << 31;

// One call, on its caller's stack.
struct call {
  task_body body;
  void *context;
  int64_t tasks;
  alignas(64) int64_t next;  // the first task that nobody has taken
  uint32_t joined;           // how many workers have come, for their numbers
  uint32_t present;          // workers asked and not yet done; with caller_sleeps while the caller waits asleep
};

// What a worker is doing, or the call it is asked to join.
call *const absent = nullptr;  // there is no thread
call *const idle = (call *)1;
call *const busy = (call *)2;
call *const leave = (call *)3;  // it is to end

struct alignas(64) worker {
  call *state;
  bool asleep;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  bool moved;  // while asleep, to be undone when it wakes up
#ifdef __linux__
  pid_t thread;
  cpu_set_t allowed;  // the processors it may run on then
#endif
};

worker workers[most_workers];
int limit = most_workers;  // workers at or above it end as soon as they are free
pthread_mutex_t done_mutex;
pthread_cond_t done;
pthread_once_t once = PTHREAD_ONCE_INIT;
pthread_key_t scratch_key;
int processors = 1;

template <class T> T get(T *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
template <class T> void set(T *p, T x) { __atomic_store_n(p, x, __ATOMIC_SEQ_CST); }
bool change(call **p, call *from, call *to) {
  return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void breathe() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

int64_t nanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

// Waits spinning until ready() or the time is over; spinning is of no use where there is one processor.
template <class F> bool spin(F ready) {
  if (ready()) return true;
  if (processors < 2) return false;
  const int64_t end = nanoseconds() + spin_nanoseconds;
  do {
    for (int i = 0; i < 16; i++) {
      breathe();
      if (ready()) return true;
    }
  } while (nanoseconds() < end);
  return false;
}

// How floating point behaves within tasks, whatever the thread had set: rounding to nearest, and results too small for
// a normal number are 0. Weights of far keys would be such numbers, and arithmetic on them is tens of times slower.
class arithmetic {
#if defined(__SSE__)
  const unsigned before = __builtin_ia32_stmxcsr();

 public:
  arithmetic() { __builtin_ia32_ldmxcsr(0x9f80); }
  ~arithmetic() { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
  uint64_t before;

 public:
  arithmetic() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24));
  }
  ~arithmetic() { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
 public:
  arithmetic() {}
#endif
};

void run_tasks(call *c, int number) {
  const arithmetic set_for_now;
  for (;;) {
    const int64_t task = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED);
    if (task >= c->tasks) return;
    c->body(c->context, task, number);
  }
}

// Counts one worker out. The call may be gone as soon as it has been.
void count_out(call *c) {
  if (__atomic_sub_fetch(&c->present, 1, __ATOMIC_SEQ_CST) != caller_sleeps) return;
  pthread_mutex_lock(&done_mutex);
  pthread_cond_broadcast(&done);
  pthread_mutex_unlock(&done_mutex);
}

void wait_for_workers(call *c) {
  if (spin([=] { return get(&c->present) == 0; })) return;
  pthread_mutex_lock(&done_mutex);
  if (__atomic_or_fetch(&c->present, caller_sleeps, __ATOMIC_SEQ_CST) != caller_sleeps)
    while (get(&c->present) != caller_sleeps) pthread_cond_wait(&done, &done_mutex);
  pthread_mutex_unlock(&done_mutex);
}

#ifdef __linux__
// Linux may wake a thread on the processor of the thread that wakes it though another is idle, where it then waits for
// the end of a time slice, some milliseconds. Seen with few processors; there a worker is kept off the caller's until
// it has woken up, when it may run wherever the caller may.
void move_elsewhere(worker *w) {
  cpu_set_t elsewhere;
  if (processors < 2 || processors > 8 || sched_getaffinity(0, sizeof elsewhere, &elsewhere) != 0) return;
  w->allowed = elsewhere;
  CPU_CLR(sched_getcpu(), &elsewhere);
  w->moved = CPU_COUNT(&elsewhere) > 0 && sched_setaffinity(w->thread, sizeof elsewhere, &elsewhere) == 0;
}
void move_freely(worker *w) {
  if (w->moved) sched_setaffinity(0, sizeof w->allowed, &w->allowed);
  w->moved = false;
}
void know_thread(worker *w) { w->thread = (pid_t)syscall(SYS_gettid); }
#else
void move_elsewhere(worker *) {}
void move_freely(worker *) {}
void know_thread(worker *) {}
#endif

void sleep_until_asked(worker *w) {
  pthread_mutex_lock(&w->mutex);
  set(&w->asleep, true);
  while (get(&w->state) == idle) pthread_cond_wait(&w->wake, &w->mutex);
  set(&w->asleep, false);
  move_freely(w);
  pthread_mutex_unlock(&w->mutex);
}

void *work(void *argument) {
  worker *const w = (worker *)argument;
  know_thread(w);
  for (;;) {
    call *const c = get(&w->state);
    if (c == idle) {
      if (w - workers >= get(&limit))
        change(&w->state, idle, leave);
      else if (!spin([=] { return get(&w->state) != idle; })) sleep_until_asked(w);
    } else if (c == leave) {
      set(&w->state, absent);
      return nullptr;
    } else if (change(&w->state, c, busy)) {
      run_tasks(c, 1 + (int)__atomic_fetch_add(&c->joined, 1, __ATOMIC_RELAXED));
      set(&w->state, idle);
      count_out(c);
    }
  }
}

bool ask(worker *w, call *from, call *c) {
  if (!change(&w->state, from, c)) return false;
  if (get(&w->asleep)) {
    pthread_mutex_lock(&w->mutex);
    if (get(&w->asleep)) move_elsewhere(w);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
  }
  return true;
}

// Starts a worker whose state says already what it is to do. Signals are the other threads' business.
bool start(worker *w) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, nullptr, work, w) == 0;
  if (started) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void make_locks() {
  for (worker &w : workers) {
    w.state = absent;
    w.asleep = false;
    w.moved = false;
    pthread_mutex_init(&w.mutex, nullptr);
    pthread_cond_init(&w.wake, nullptr);
  }
  pthread_mutex_init(&done_mutex, nullptr);
  pthread_cond_init(&done, nullptr);
}

void begin_again();

// In a child of fork there are no workers, and what another thread held locked stays so: all is made anew.
void prepare() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) processors = CPU_COUNT(&allowed);
#else
  processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
  pthread_key_create(&scratch_key, free);
  make_locks();
  pthread_atfork(nullptr, nullptr, begin_again);
}

// Puts the call on offer to that many workers, or as many as are free or can be started; returns how far it looked.
int invite(call *c, int wanted) {
  const int most = get(&limit);
  int i = 0;
  for (int asked = 0; i < most && asked < wanted; i++) {
    worker *const w = workers + i;
    call *const state = get(&w->state);
    if (state != idle && (state != absent || i >= wanted)) continue;
    __atomic_add_fetch(&c->present, 1, __ATOMIC_SEQ_CST);
    if (!ask(w, state, c)) {
      __atomic_sub_fetch(&c->present, 1, __ATOMIC_SEQ_CST);
    } else if (state == absent && !start(w)) {
      set(&w->state, absent);
      __atomic_sub_fetch(&c->present, 1, __ATOMIC_SEQ_CST);
      break;  // the system has no more threads to give
    } else {
      asked++;
    }
  }
  return i;
}

void withdraw(call *c, int looked_at) {
  for (worker *w = workers; w < workers + looked_at; w++)
    if (get(&w->state) == c && change(&w->state, c, idle)) __atomic_sub_fetch(&c->present, 1, __ATOMIC_SEQ_CST);
}

// The threads that OpenMP keeps for operations of this thread, by the clocks of the time that they run.
typedef void (*openmp_function)(void (*member)(void *), void *data, unsigned threads, unsigned flags);
openmp_function openmp = nullptr;
const int most_clocks = 4;  // a few of them tell for all

#ifdef __linux__
struct team {
  int threads;
  int clocks;
  clockid_t clock[most_clocks];
};
__thread team own_team;

int64_t time_of(clockid_t clock) {
  timespec t;
  return clock_gettime(clock, &t) == 0 ? t.tv_sec * (int64_t)1000000000 + t.tv_nsec : 0;
}

struct introduction {
  pthread_t caller;
  int members;
  int clocks;
  clockid_t clock[most_clocks];
};
void introduce(void *argument) {
  introduction *const all = (introduction *)argument;
  clockid_t clock;
  __atomic_add_fetch(&all->members, 1, __ATOMIC_RELAXED);
  if (pthread_equal(pthread_self(), all->caller) || pthread_getcpuclockid(pthread_self(), &clock) != 0) return;
  const int place = __atomic_fetch_add(&all->clocks, 1, __ATOMIC_RELAXED);
  if (place < most_clocks) all->clock[place] = clock;
}

// Whether that many threads of OpenMP are running, though no operation of this thread is: then they spin.
bool team_spins(int threads) {
  const openmp_function run = get(&openmp);
  if (!run) return false;
  team *const t = &own_team;
  if (t->threads != threads) {
    introduction all = {pthread_self(), 0, 0, {}};
    run(introduce, &all, (unsigned)threads, 0);
    t->threads = threads;
    t->clocks = all.members != threads ? 0 : all.clocks < most_clocks ? all.clocks : most_clocks;
    for (int i = 0; i < t->clocks; i++) t->clock[i] = all.clock[i];
    return t->clocks > 0;
  }
  int64_t before[most_clocks];
  for (int i = 0; i < t->clocks; i++) before[i] = time_of(t->clock[i]);
  for (int i = 0; i < t->clocks; i++) {
    if (before[i] == 0) t->threads = 0;  // it has ended; who is there now is asked the next time
    if (time_of(t->clock[i]) <= before[i]) return false;
  }
  return t->clocks > 0;
}
#else
bool team_spins(int) { return false; }
#endif

void run_member(void *argument) {
  call *const c = (call *)argument;
  run_tasks(c, (int)__atomic_fetch_add(&c->joined, 1, __ATOMIC_RELAXED));
}

void begin_again() {  // in a child of fork, where OpenMP cannot be used either
  openmp = nullptr;
  make_locks();
}

struct scratch {
  void *memory;
  int64_t bytes;
};
__thread scratch own_scratch;

}  // namespace

extern "C" {

// Runs body(context, task, worker) for all tasks in 0 .. tasks - 1, taken in that order, on at most `threads` threads,
// the calling one included; workers' numbers are below `threads` and no two threads of a call share one. Returns when
// all are done. May be called by several threads at once, from within a body, and in a child of fork (but not in one
// that was forked within a body).
void attnc_parallel(int64_t tasks, int threads, task_body body, void *context) {
  call c = {body, context, tasks, 0, 0, 0};
  if (tasks < 2 || threads < 2) return run_tasks(&c, 0);
  pthread_once(&once, prepare);
  if (team_spins(threads)) return get(&openmp)(run_member, &c, (unsigned)threads, 0);
  const int looked_at = invite(&c, (int)(tasks < threads ? tasks : threads) - 1);
  run_tasks(&c, 0);
  withdraw(&c, looked_at);
  wait_for_workers(&c);
}

// At least that many bytes of memory of this thread's own, aligned to 64, the same at every call until it must grow,
// which loses what it held; freed when the thread ends. Null if there is no memory.
void *attnc_scratch(int64_t bytes) {
  scratch *const s = &own_scratch;
  if (bytes <= s->bytes) return s->memory;
  pthread_once(&once, prepare);
  free(s->memory);
  *s = scratch{nullptr, 0};
  pthread_setspecific(scratch_key, nullptr);
  const int64_t size = (bytes + bytes / 4 + 4095) & ~(int64_t)4095;
  if (posix_memalign(&s->memory, 64, (size_t)size) != 0) return s->memory = nullptr;
  s->bytes = size;
  pthread_setspecific(scratch_key, s->memory);
  return s->memory;
}

// Has calls take the threads of an OpenMP runtime while they spin: its GOMP_parallel, or null for no longer.
void attnc_pool_openmp(openmp_function parallel) {
  pthread_once(&once, prepare);
  set(&openmp, parallel);
}

// How many workers there are.
int attnc_pool_size(void) {
  int count = 0;
  for (worker &w : workers) count += get(&w.state) != absent;
  return count;
}

// Keeps at most that many workers; those beyond end when they are free. No limit but the table's to begin with.
void attnc_pool_limit(int most) {
  pthread_once(&once, prepare);
  set(&limit, most < 0 ? 0 : most < most_workers ? most : most_workers);
  for (int i = get(&limit); i < most_workers; i++)
    if (get(&workers[i].state) == idle) ask(workers + i, idle, leave);
}

}  // extern "C"
