/* SPDX-License-Identifier: MIT */
/*
 * tests/faults/fatal.c - preloaded into a role: SIGUSR1 tells each of its producers that it is
 * broken for good, as the library itself would after a lost sequence. Never part of the product.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

enum { CLIENT_PRODUCER = 0, OUT_OF_ORDER_SEQUENCE = 45, PRODUCERS_MAX = 16 };

/* As librdkafka declares them; its header has one owner, and that is not a test. */
typedef void *new_fn(int type, void *conf, char *errstr, size_t errstr_size);
typedef void destroy_fn(void *rk);
typedef void destroy_flags_fn(void *rk, int flags);
typedef int fatal_fn(void *rk, int err, const char *reason);

void *rd_kafka_new(int type, void *conf, char *errstr, size_t errstr_size);
void rd_kafka_destroy(void *rk);
void rd_kafka_destroy_flags(void *rk, int flags);

static void *producers[PRODUCERS_MAX];
static int producers_n;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void *rd_kafka_new(int type, void *conf, char *errstr, size_t errstr_size)
{
    new_fn *real = (new_fn *)dlsym(RTLD_NEXT, "rd_kafka_new");
    void *rk = real(type, conf, errstr, errstr_size);

    pthread_mutex_lock(&lock);
    if (rk && type == CLIENT_PRODUCER && producers_n < PRODUCERS_MAX)
        producers[producers_n++] = rk;
    pthread_mutex_unlock(&lock);
    return rk;
}

/* A client that is gone is told nothing: roles make some for a question, and free them. */
static void forget(const void *rk)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < producers_n; i++)
        if (producers[i] == rk)
            producers[i--] = producers[--producers_n];
    pthread_mutex_unlock(&lock);
}

void rd_kafka_destroy(void *rk)
{
    destroy_fn *real = (destroy_fn *)dlsym(RTLD_NEXT, "rd_kafka_destroy");

    forget(rk);
    real(rk);
}

void rd_kafka_destroy_flags(void *rk, int flags)
{
    destroy_flags_fn *real = (destroy_flags_fn *)dlsym(RTLD_NEXT, "rd_kafka_destroy_flags");

    forget(rk);
    real(rk, flags);
}

static void *listen_for_it(void *arg)
{
    fatal_fn *fatal = (fatal_fn *)dlsym(RTLD_NEXT, "rd_kafka_test_fatal_error");
    sigset_t *set = arg;
    int number;

    while (sigwait(set, &number) == 0) {
        pthread_mutex_lock(&lock);
        for (int i = 0; fatal && i < producers_n; i++)
            fatal(producers[i], OUT_OF_ORDER_SEQUENCE, "a test said so");
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Before any other thread: all inherit the blocked signal, so that only ours takes it. */
__attribute__((constructor)) static void begin(void)
{
    static sigset_t set;
    pthread_t thread;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_create(&thread, NULL, listen_for_it, &set);
    pthread_detach(thread);
}
