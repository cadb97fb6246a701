/* SPDX-License-Identifier: MIT */
/*
 * Each kind of assertion is broken in a child, which must die of it with its words. The books are
 * spoilt by hand where nothing that may be called would do it.
 */
#include "edge/rest/server/door.h"
#include "edge/ws/conn_state.h"
#include "edge/ws/gateway.h"
#include "edge/ws/guests.h"
#include "edge/ws/rates.h"
#include "edge/ws/sends.h"
#include "ingest/trust.h"
#include "lib/base/arena.h"
#include "lib/base/assert.h"
#include "lib/base/buf.h"
#include "lib/bus/backlog.h"
#include "lib/bus/frontier.h"
#include "lib/json/json.h"
#include "lib/pg/pg.h"
#include "sinks/media/works.h"
#include "sinks/mobile/breaker.h"
#include "sinks/mobile/jobs.h"
#include "sinks/websocket/sink_state.h"
#include "sinks/websocket/slots.h"
#include "sinks/websocket/window.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 8192 };

static char said[SAID_MAX];

/* Whether a child that calls `fn` dies by abort(); what it wrote is in `said`. */
static bool dies(void (*fn)(void))
{
    static const struct rlimit no_core = { 0, 0 };
    int ends[2], state = 0;
    size_t n = 0;
    ssize_t got;
    pid_t child;

    if (pipe(ends) != 0)
        return false;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + n, sizeof said - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    close(ends[0]);
    return waitpid(child, &state, 0) == child && WIFSIGNALED(state) && WTERMSIG(state) == SIGABRT;
}

static void fails_with_values(void)
{
    int64_t three = 3, minus = -4;

    CQ_ASSERT(three + minus == 0, three, minus);
}

TEST(a_failed_assertion_is_a_line_of_the_log)
{
    cq_auto(json) struct json *line = NULL;
    struct cq_span text;
    int64_t value;

    CHECK(dies(fails_with_values));
    CHECK_EQ(json_parse(span_of(said, strcspn(said, "\n")), &line, NULL), CQ_OK);
    CHECK(json_get_text(line, "level", &text));
    CHECK_SPAN(text, "error");
    CHECK(json_get_text(line, "event", &text));
    CHECK_SPAN(text, "assertion_failed");
    CHECK(json_get_text(line, "at", &text));
    CHECK_EQ(strncmp((const char *)text.p, "tests/unit/test_assert.c:", 25), 0);
    CHECK(json_get_text(line, "expression", &text));
    CHECK_SPAN(text, "three + minus == 0");
    CHECK(json_get_i64(line, "three", &value));
    CHECK_EQ(value, 3);
    CHECK(json_get_i64(line, "minus", &value));
    CHECK_EQ(value, -4);
}

static int evaluated;

static int note(void)
{
    return ++evaluated;
}

TEST(an_assertion_that_holds_costs_no_values)
{
    CQ_ASSERT(true);
    CQ_ASSERT(evaluated == 0, note());
    CQ_ASSERT(evaluated == 0, note(), note(), note(), note());
    CHECK_EQ(evaluated, 0);
}

/* ---- counts ---- */

static void more_ours_than_slots(void)
{
    struct slots slots;
    bool same;

    if (slots_init(&slots, 2) != CQ_OK)
        return;
    slots.ours_n = 2;
    slots_assigned(&slots, 0, 0, &same);
}

static void a_slot_beyond_the_table(void)
{
    struct slots slots;

    if (slots_init(&slots, 2) == CQ_OK)
        slots_away(&slots, 2);
}

static void a_work_more_than_there_is_room(void)
{
    static struct works works;

    works.n = WORKS_MAX;
    works_add(&works);
}

static void one_place_left_twice(void)
{
    static struct line line;
    int32_t place = 0;

    line_init(&line, 1000, 1);
    if (line_join(&line, (struct cq_id){ { 1 } }, 0, &place) != LINE_TAKEN)
        return;
    line.owners[line.places[place].owner].places = 0;
    line_leave(&line, place);
}

static void one_socket_left_twice(void)
{
    struct rates rates;
    uint32_t index;

    rates_init(&rates, 60, 60, 4);
    if (!rates_join(&rates, (struct cq_id){ { 1 } }, 0, &index))
        return;
    rates_leave(&rates, index);
    rates_leave(&rates, index);
}

static void charge_paid_twice(void)
{
    static struct door door;
    struct door_conf conf = { .conns_max = 1, .body_max = 1 };

    conf.body_memory_bytes = door_memory_least(&conf);
    if (door_init(&door, &conf))
        door_pay(&door, (struct cq_id){ { 1 } }, 1);
}

/* ---- in flight ---- */

static void a_report_of_nothing(void)
{
    struct backlog backlog = { .in_flight = 0 };

    backlog_sent(&backlog, 1);
    backlog_reported(&backlog);
    backlog_reported(&backlog);
}

static void a_reference_more_than_there_are(void)
{
    static struct jobs jobs;
    struct held *held = calloc(1, sizeof *held);
    struct job *job = NULL;

    if (!held || jobs_init(&jobs) != CQ_OK || !(job = jobs_add(&jobs, held)))
        return;
    held->refs = 0;
    jobs_remove(&jobs, job);
}

/* ---- lists ---- */

static void on_answer(void *arg, struct sender *sender, bool stored, struct cq_span client_id,
                      struct cq_id id)
{
    (void)arg;
    (void)sender;
    (void)stored;
    (void)client_id;
    (void)id;
}

static void a_send_that_its_sender_does_not_have(void)
{
    struct sends sends;
    struct sender sender = { 0 };
    struct cq_id id = { { 1 } };
    uint64_t opaque;

    sends_init(&sends, on_answer, NULL);
    if (sends_admit(&sends, &sender, id) != SENDS_ADMITTED)
        return;
    opaque = sends_add(&sends, &sender, id, span_str("c"), 0);
    sender.head = 0;
    sends_report(&sends, opaque, CQ_OK);
}

static void a_guest_that_is_not_in_the_list(void)
{
    struct guests guests;
    struct guest guest = { .listed = true };
    static const struct address_ranges nobody;

    guests_init(&guests, &nobody, 1, 1);
    guests_leave(&guests, &guest);
}

static void a_job_in_a_list_twice(void)
{
    static struct jobs jobs;
    struct held held = { .refs = 1 };
    struct job *job = NULL;

    if (jobs_init(&jobs) != CQ_OK || !(job = jobs_add(&jobs, &held)))
        return;
    job_list_add(&jobs, &jobs.tell, job);
    job_list_add(&jobs, &jobs.tell, job);
}

static void a_job_that_does_not_wait(void)
{
    static struct jobs jobs;
    struct held held = { .refs = 1 };
    struct job *job = NULL;

    if (jobs_init(&jobs) == CQ_OK && (job = jobs_add(&jobs, &held)))
        jobs_unwait(&jobs, job);
}

/* ---- states ---- */

static void two_trials_at_once(void)
{
    struct breaker breaker = { .state = BREAKER_OPEN };

    breaker_started(&breaker);
    breaker_started(&breaker);
}

static void a_close_after_the_close(void)
{
    enum conn_state state = CONN_CLOSED;

    conn_state_move(&state, CONN_CLOSING);
}

static void a_gateway_that_drains_twice(void)
{
    static struct gateway gateway = { .phase = GATEWAY_CLOSING };

    gateway_enter(&gateway, GATEWAY_ANSWERING);
}

static void a_file_told_before_it_was_looked_at(void)
{
    static struct works works;

    works_move(works_add(&works), WORK_TOLD);
}

static void a_push_told_twice(void)
{
    static struct jobs jobs;
    struct held held = { .refs = 1 };
    struct job *job = NULL;

    if (jobs_init(&jobs) != CQ_OK || !(job = jobs_add(&jobs, &held)))
        return;
    job_move(job, JOB_REPORTING);
    job_move(job, JOB_REPORTING);
}

static void a_session_ready_before_it_opened(void)
{
    struct sink sink = { .waiting_n = 1 };
    struct session session = { .state = SESSION_WAITING };

    session_move(&sink, &session, SESSION_READY);
}

static void an_answer_to_no_question(void)
{
    static struct trust trust;
    static const struct trust_found found;

    trust_init(&trust);
    trust_take(&trust, &found, 0);
}

/* ---- pairs ---- */

static void two_frontiers_of_different_topics(void)
{
    struct frontier high, low;
    struct cq_buf out;

    frontier_init(&high, 0, 4);
    frontier_init(&low, 0, 3);
    buf_init(&out, 1024);
    frontier_pack(&high, &low, &out);
}

/* ---- space ---- */

static void a_parameter_too_many(void)
{
    struct pg_params params;

    pg_params_init(&params, 1024);
    for (int i = 0; i <= PG_PARAMS_MAX; i++)
        pg_add_i32(&params, i);
}

static void more_in_a_buffer_than_it_holds(void)
{
    struct cq_buf buf;

    buf_init(&buf, 1024);
    buf_add_str(&buf, "a");
    buf.n = buf.cap + 1;
    buf_add_str(&buf, "b");
}

static void a_window_beyond_its_bound(void)
{
    struct window window;
    uint64_t ticket;

    window_init(&window, 64);
    if (window_add(&window, 0, &ticket) != CQ_OK)
        return;
    window.cap = 2 * window.max;
    (void)!window_add(&window, 1, &ticket);
}

TEST(each_kind_ends_the_process)
{
    static const struct {
        const char *name;
        void (*fn)(void);
        const char *at, *expression;
    } rows[] = {
        { "ours", more_ours_than_slots, "sinks/websocket/slots.c:", "slots->ours_n <= slots->n" },
        { "slot", a_slot_beyond_the_table, "sinks/websocket/slots.c:", "i < slots->n" },
        { "works", a_work_more_than_there_is_room, "sinks/media/works.c:", "works->n < WORKS_MAX" },
        { "places", one_place_left_twice, "sinks/media/line.c:", ".places > 0" },
        { "sockets", one_socket_left_twice, "edge/ws/rates.c:", ".sockets > 0" },
        { "charge", charge_paid_twice, "edge/rest/server/door.c:", "door->pool_used >= charge" },
        { "in flight", a_report_of_nothing, "lib/bus/backlog.c:", "backlog->in_flight > 0" },
        { "refs", a_reference_more_than_there_are, "sinks/mobile/jobs.c:", "held->refs > 0" },
        { "sender", a_send_that_its_sender_does_not_have, "edge/ws/sends.c:", "*at" },
        { "guest", a_guest_that_is_not_in_the_list, "edge/ws/guests.c:", "guests->first == guest" },
        { "twice", a_job_in_a_list_twice, "sinks/mobile/jobs.c:", "list->last != i" },
        { "heap", a_job_that_does_not_wait, "sinks/mobile/jobs.c:", "job->phase == JOB_WAITING" },
        { "trial", two_trials_at_once, "sinks/mobile/breaker.c:", "BREAKER_TRIAL" },
        { "connection", a_close_after_the_close, "edge/ws/conn_state.c:", "conn_state_may_follow" },
        { "phase", a_gateway_that_drains_twice, "edge/ws/gateway.c:", "gateway_is_draining" },
        { "file", a_file_told_before_it_was_looked_at, "sinks/media/works.c:", "WORK_TELL" },
        { "push", a_push_told_twice, "sinks/mobile/jobs.c:", "before[to]" },
        { "session", a_session_ready_before_it_opened,
          "sinks/websocket/sink.c:", "SESSION_WAITING" },
        { "question", an_answer_to_no_question, "ingest/trust.c:", "trust->asking" },
        { "pair", two_frontiers_of_different_topics, "lib/bus/frontier.c:", "high->n == low->n" },
        { "parameters", a_parameter_too_many, "lib/pg/params.c:", "params->n < PG_PARAMS_MAX" },
        { "buffer", more_in_a_buffer_than_it_holds, "lib/base/buf.c:", "buf->n <= buf->cap" },
        { "window", a_window_beyond_its_bound,
          "sinks/websocket/window.c:", "window->cap <= window->max" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ_ROW(rows[i].name, dies(rows[i].fn), true);
        CHECK_EQ_ROW(said, strstr(said, "\"event\":\"assertion_failed\"") != NULL, true);
        CHECK_EQ_ROW(said, strstr(said, rows[i].at) != NULL, true);
        CHECK_EQ_ROW(said, strstr(said, rows[i].expression) != NULL, true);
    }
}
