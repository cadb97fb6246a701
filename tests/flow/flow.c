/* SPDX-License-Identifier: MIT */
/*
 * tests/flow/flow.c - runs a flow script (see README.md).
 */
#include "tests/flow/world.h"

#include "schemas/names.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 40 };

struct script {
    const char *path;
    int line;
    bool show; /* print instead of compare */
    int failed;
    int checked;
    unsigned fresh; /* client ids made up so far */
};

struct words {
    char *v[WORDS_MAX];
    int n;
};

static _Noreturn void wrong(const struct script *s, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", s->path, s->line, what);
    exit(2);
}

/* Words are parted by spaces; a quoted one keeps its spaces and loses its quotes. */
static struct words split(char *line)
{
    struct words w = { .n = 0 };

    while (w.n < WORDS_MAX) {
        char end = ' ';

        line += strspn(line, " \t");
        if (!*line)
            break;
        if (*line == '"') {
            end = '"';
            line++;
        }
        w.v[w.n++] = line;
        line += strcspn(line, end == '"' ? "\"" : " \t");
        if (*line)
            *line++ = '\0';
    }
    return w;
}

static const char *word(const struct script *s, const struct words *w, int i)
{
    if (i >= w->n)
        wrong(s, "a word is missing");
    return w->v[i];
}

static int64_t position(const struct script *s, const char *text)
{
    if (*text != '#')
        wrong(s, "a position looks like #3");
    return seq_make(TOPIC_GENERATION, strtoll(text + 1, NULL, 10));
}

/* Fill chat and peer from "alice" (a user) or "@team" (a group, named by its client id). */
static void aim(struct world *w, struct chat_action *a, const char *target)
{
    static struct cq_id creators[64];
    static char known[64][32];
    static size_t n;

    if (*target != '@') {
        a->has_peer = true;
        a->peer = world_id(w, target);
        a->chat_id = chat_id_direct(a->user_id, a->peer);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(known[i], target) == 0) {
            a->chat_id = chat_id_group(creators[i], span_str(target));
            return;
        }
    if (a->action.kind == CHAT_ACTION_GROUP_CREATED && n < 64) {
        creators[n] = a->user_id;
        snprintf(known[n++], sizeof known[0], "%s", target);
        a->chat_id = chat_id_group(a->user_id, span_str(target));
    } else {
        a->chat_id = world_id(w, target); /* nobody made it */
    }
}

static struct chat_action action_of(struct world *w, const struct script *s, const struct words *v,
                                    enum chat_action_action_kind kind)
{
    struct chat_action a = { .at_ms = w->log_ms };

    a.user_id = world_id(w, word(s, v, 1));
    a.action.kind = kind;
    aim(w, &a, word(s, v, 2));
    return a;
}

static void do_send(struct world *w, struct script *s, const struct words *v)
{
    struct chat_action a = action_of(w, s, v, CHAT_ACTION_MESSAGE_SENT);
    char fresh[24];

    snprintf(fresh, sizeof fresh, "fresh-%u", s->fresh++);
    a.client_id = span_str(v->n > 4 ? v->v[4] : fresh);
    a.action.u.message_sent.content_type = span_str("text/plain");
    a.action.u.message_sent.content = span_str(word(s, v, 3));
    world_chat(w, &a);
}

static void do_group(struct world *w, struct script *s, const struct words *v)
{
    struct chat_action a = action_of(w, s, v, CHAT_ACTION_GROUP_CREATED);
    struct cq_id members[WORDS_MAX];
    size_t n = 0;

    for (int i = 4; i < v->n; i++)
        members[n++] = world_id(w, v->v[i]);
    a.client_id = span_str(word(s, v, 2));
    a.action.u.group_created = (struct group_created){ span_str(word(s, v, 3)), members, n };
    world_chat(w, &a);
}

static void do_change(struct world *w, struct script *s, const struct words *v)
{
    static const char marks[] = "+-^v";
    struct chat_action a = action_of(w, s, v, CHAT_ACTION_MEMBERS_CHANGED);
    struct member_change changes[WORDS_MAX];
    size_t n = 0;

    for (int i = 3; i < v->n; i++) {
        const char *mark = strchr(marks, v->v[i][0]);

        if (!mark || !*mark)
            wrong(s, "a change looks like +dave");
        changes[n++] = (struct member_change){ world_id(w, v->v[i] + 1),
                                               (enum member_change_kind)(mark - marks) };
    }
    a.client_id = span_str("change");
    a.action.u.members_changed = (struct members_changed){ changes, n };
    world_chat(w, &a);
}

static void do_rename(struct world *w, struct script *s, const struct words *v)
{
    struct chat_action a = action_of(w, s, v, CHAT_ACTION_CHAT_RENAMED);

    a.client_id = span_str("rename");
    a.action.u.chat_renamed.name = span_str(word(s, v, 3));
    world_chat(w, &a);
}

static void do_receipt(struct world *w, struct script *s, const struct words *v)
{
    struct chat_action a = action_of(w, s, v, CHAT_ACTION_RECEIPTS_ADVANCED);
    struct receipt r = {
        .chat_id = a.chat_id, .user_id = a.user_id, .has_peer = a.has_peer, .peer = a.peer
    };

    for (int i = 3; i + 1 < v->n; i += 2) {
        int64_t seq = position(s, v->v[i + 1]);

        if (strcmp(v->v[i], "delivered") == 0)
            r.delivered_seq = seq;
        else
            r.read_seq = seq;
    }
    a.action.u.receipts_advanced = (struct receipts_advanced){ &r, 1 };
    world_chat(w, &a);
}

static struct user_action user_of(struct world *w, const struct script *s, const struct words *v,
                                  enum user_action_action_kind kind)
{
    struct user_action a = { .at_ms = w->log_ms, .user_id = world_id(w, word(s, v, 1)) };

    a.action.kind = kind;
    return a;
}

static void do_link(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_DEVICE_LINKED);

    a.device_id = world_id(w, word(s, v, 2));
    a.action.u.device_linked.platform = span_str("other");
    world_user(w, &a);
}

static void do_unlink(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_DEVICE_UNLINKED);

    a.device_id = world_id(w, word(s, v, 2));
    a.action.u.device_unlinked.reason = span_str("logout");
    world_user(w, &a);
}

/* push bob phone TOKEN: as an edge says it */
static void do_push(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_PUSH_CLAIMED);

    a.device_id = world_id(w, word(s, v, 2));
    a.action.u.push_claimed.address.token = span_str(word(s, v, 3));
    world_user(w, &a);
}

/* unpush bob phone TOKEN, or the offset of the registration instead of the token */
static void do_unpush(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_PUSH_UNREGISTERED);
    const char *what = v->n > 3 ? v->v[3] : "";
    bool offset = *what >= '0' && *what <= '9';

    a.device_id = world_id(w, word(s, v, 2));
    a.action.u.push_unregistered =
        (struct push_unregistered){ span_str("test"), span_str(offset ? "" : what),
                                    offset ? strtoll(what, NULL, 10) : -1 };
    world_user(w, &a);
}

/* read bob phone alice #0 [after #1]: as sinks/status says it */
static void do_read(struct world *w, struct script *s, const struct words *v)
{
    struct cq_id user = world_id(w, word(s, v, 1));
    struct delivery_item item = {
        .offset = 1,
        .class = FRAME_CLASS_STATUS,
        .chat_id = chat_id_direct(user, world_id(w, word(s, v, 3))),
        .seq = position(s, word(s, v, 4)),
        .sender_id = user,
        .at_ms = w->log_ms,
        .frame = span_str("}"),
        .to = &user,
        .to_n = 1,
        .has_read_by = true,
        .read_by = world_id(w, word(s, v, 2)),
    };

    world_deliver(w, DELIVERY_ORIGIN_DELIVERY_STATUS, &item);
}

/* mute bob alice 1000: their direct chat */
static void do_mute(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_CHAT_MUTED);

    a.action.u.chat_muted =
        (struct chat_muted){ chat_id_direct(a.user_id, world_id(w, word(s, v, 2))),
                             strtoll(word(s, v, 3), NULL, 10) };
    world_user(w, &a);
}

/* open bob phone s1 slot 2 gw1 */
static void do_open(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_SESSION_OPENED);

    a.device_id = world_id(w, word(s, v, 2));
    a.action.u.session_opened = (struct session_opened){
        .session_id = world_id(w, word(s, v, 3)),
        .slot = (int32_t)strtol(word(s, v, 5), NULL, 10),
        .incarnation = world_id(w, word(s, v, 6)),
    };
    world_user(w, &a);
}

static void do_close(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_SESSION_CLOSED);

    a.action.u.session_closed.session_id = world_id(w, word(s, v, 2));
    world_user(w, &a);
}

/* lost bob s1 alice #0 */
static void do_lost(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = user_of(w, s, v, USER_ACTION_SESSION_LOST);
    struct lost_item item = { .frame = span_str("\"t\":\"message\"}") };

    item.sender_id = world_id(w, word(s, v, 3));
    item.seq = position(s, word(s, v, 4));
    a.action.u.session_lost = (struct session_lost){ world_id(w, word(s, v, 2)), &item, 1 };
    world_user(w, &a);
}

static void do_alive(struct world *w, struct script *s, const struct words *v)
{
    struct user_action a = { .at_ms = w->log_ms };

    a.action.kind = USER_ACTION_GATEWAY_ALIVE;
    a.action.u.gateway_alive.incarnation = world_id(w, word(s, v, 1));
    world_user(w, &a);
}

static void do_clock(struct world *w, struct script *s, const struct words *v)
{
    w->log_ms += strtoll(word(s, v, 1), NULL, 10) * 1000;
}

static void do_restart(struct world *w, struct script *s, const struct words *v)
{
    if (strcmp(word(s, v, 1), "chat") == 0)
        world_restart_chat(w);
    else
        world_restart_user(w);
}

static void do_replay(struct world *w, struct script *s, const struct words *v)
{
    world_replay_chat(w, seq_offset(position(s, word(s, v, 2))));
}

static const struct {
    const char *name;
    void (*run)(struct world *w, struct script *s, const struct words *v);
} verbs[] = {
    { "send", do_send },       { "group", do_group },     { "change", do_change },
    { "rename", do_rename },   { "receipt", do_receipt }, { "link", do_link },
    { "unlink", do_unlink },   { "open", do_open },       { "close", do_close },
    { "lost", do_lost },       { "alive", do_alive },     { "clock", do_clock },
    { "restart", do_restart }, { "replay", do_replay },   { "push", do_push },
    { "unpush", do_unpush },   { "mute", do_mute },       { "read", do_read },
};

/* Nothing may come out unseen. */
static void check_silent(struct world *w, struct script *s)
{
    for (; w->lines_at < w->lines_n; w->lines_at++) {
        if (s->show) {
            printf("-> %s\n", w->lines[w->lines_at]);
            continue;
        }
        fprintf(stderr, "%s:%d: unexpected: -> %s\n", s->path, s->line, w->lines[w->lines_at]);
        s->failed++;
    }
}

static void expect(struct world *w, struct script *s, const char *wanted)
{
    const char *got = w->lines_at < w->lines_n ? w->lines[w->lines_at] : "nothing";

    if (s->show)
        return;
    s->checked++;
    if (strcmp(got, wanted) != 0) {
        fprintf(stderr, "%s:%d:\n  wanted -> %s\n  got    -> %s\n", s->path, s->line, wanted, got);
        s->failed++;
    }
    if (w->lines_at < w->lines_n)
        w->lines_at++;
}

static void run_line(struct world *w, struct script *s, char *line)
{
    struct words v;

    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (strncmp(line, "-> ", 3) == 0) {
        expect(w, s, line + 3);
        return;
    }
    if (!*line || *line == '#') {
        if (s->show)
            printf("%s\n", line);
        return;
    }
    check_silent(w, s);
    if (s->show)
        printf("%s\n", line);
    v = split(line);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(v.v[0], verbs[i].name) == 0) {
            verbs[i].run(w, s, &v);
            if (s->show)
                check_silent(w, s);
            return;
        }
    wrong(s, "no such verb");
}

int main(int argc, char **argv)
{
    struct script s = { .path = argv[argc - 1], .show = argc == 3 };
    static struct world w;
    char line[1024];
    FILE *in = argc > 1 ? fopen(s.path, "r") : NULL;

    if (!in) {
        fprintf(stderr, "usage: flow [--show] FILE\n");
        return 2;
    }
    world_init(&w);
    while (fgets(line, sizeof line, in)) {
        s.line++;
        run_line(&w, &s, line);
    }
    check_silent(&w, &s);
    fclose(in);
    world_release(&w);
    if (!s.checked && !s.show) {
        fprintf(stderr, "%s: checks nothing\n", s.path);
        return 1;
    }
    if (!s.show)
        printf("%s: %d lines as expected, %d not\n", s.path, s.checked - s.failed, s.failed);
    return s.failed ? 1 : 0;
}
