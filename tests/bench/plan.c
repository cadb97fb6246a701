/* SPDX-License-Identifier: MIT */
/*
 * Reads the plan of a run: one line a thing, words between spaces.
 *   run <8 characters>
 *   ws <IPv4 address>:<port>
 *   user <userId> <access token>
 *   chat <chatId> direct|group <user index>,<user index>,…
 */
#include "tests/bench/world.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 64 * 1024, SEATS_MAX = 1024, SHOWN_FIRST = 1 << 20 };

static void die(const char *path, int line, const char *why)
{
    fprintf(stderr, "%s:%d: %s\n", path, line, why);
    exit(2);
}

/* Room for one more of `size` bytes behind `n`. */
static void *grow(void *p, int n, int *cap, size_t size)
{
    if (n < *cap)
        return p;
    *cap = *cap ? *cap * 2 : 64;
    p = realloc(p, (size_t)*cap * size);
    if (!p)
        die("plan", 0, "out of memory");
    return p;
}

static bool id_take(char *to, const char *word)
{
    if (!word || strlen(word) != ID_TEXT)
        return false;
    memcpy(to, word, ID_TEXT + 1);
    return true;
}

static bool user_add(struct world *w, char *rest)
{
    char *id = strsep(&rest, " "), *token = strsep(&rest, " ");
    struct user u = { 0 };

    if (!token || !id_take(u.id, id))
        return false;
    u.token = strdup(token);
    w->users = grow(w->users, w->users_n, &w->users_cap, sizeof *w->users);
    w->users[w->users_n++] = u;
    return true;
}

static bool seat_add(struct world *w, int user)
{
    struct chat *c = &w->chats[w->chats_n - 1];
    struct user *u;

    if (user < 0 || user >= w->users_n || c->seats_n == SEATS_MAX)
        return false;
    u = &w->users[user];
    u->seats = realloc(u->seats, (size_t)(u->seats_n + 1) * sizeof *u->seats);
    u->seats[u->seats_n++] = w->seats_n;
    w->seats = grow(w->seats, w->seats_n, &w->seats_cap, sizeof *w->seats);
    w->seats[w->seats_n++] = (struct seat){
        .chat = w->chats_n - 1,
        .user = user,
        .slot = c->seats_n++,
        .own_last = -1,
        .tick_head = -1,
        .tick_tail = -1,
    };
    return true;
}

static bool chat_add(struct world *w, char *rest)
{
    char *id = strsep(&rest, " "), *kind = strsep(&rest, " ");
    struct chat c = { .seat0 = w->seats_n };

    if (!kind || !rest || !id_take(c.id, id))
        return false;
    c.direct = strcmp(kind, "direct") == 0;
    w->chats = grow(w->chats, w->chats_n, &w->chats_cap, sizeof *w->chats);
    w->chats[w->chats_n++] = c;
    while (rest) {
        char *word = strsep(&rest, ","), *end;
        long user = strtol(word, &end, 10);
        if (end == word || *end || !seat_add(w, (int)user))
            return false;
    }
    return true;
}

static bool line_take(struct world *w, char *line)
{
    char *rest = line, *word = strsep(&rest, " ");

    if (strcmp(word, "user") == 0)
        return user_add(w, rest);
    if (strcmp(word, "chat") == 0)
        return chat_add(w, rest);
    if (!rest)
        return false;
    if (strcmp(word, "run") == 0 && strlen(rest) == RUN_TEXT) {
        memcpy(w->run, rest, RUN_TEXT + 1);
        return true;
    }
    if (strcmp(word, "ws") == 0) {
        w->endpoints = realloc(w->endpoints, (size_t)(w->endpoints_n + 1) * sizeof(char *));
        w->endpoints[w->endpoints_n++] = strdup(rest);
        return true;
    }
    return false;
}

void world_load(struct world *w, const char *path, int64_t messages_max)
{
    static char line[LINE_MAX_BYTES];
    FILE *f = fopen(path, "re");
    int number = 0;

    if (!f)
        die(path, 0, "cannot be opened");
    while (fgets(line, sizeof line, f)) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (*line && !line_take(w, line))
            die(path, number, "is not understood");
    }
    fclose(f);
    if (!w->endpoints_n || !*w->run)
        die(path, number, "no `ws` or no `run` line");
    w->messages_max = messages_max;
    w->messages = calloc((size_t)messages_max, sizeof *w->messages);
    w->shown_max = SHOWN_FIRST;
    w->shown = calloc(SHOWN_FIRST / 64, sizeof *w->shown);
    if (!w->messages || !w->shown)
        die(path, number, "out of memory");
}

void world_release(struct world *w)
{
    for (int i = 0; i < w->users_n; i++) {
        free(w->users[i].token);
        free(w->users[i].seats);
    }
    for (int i = 0; i < w->endpoints_n; i++)
        free(w->endpoints[i]);
    free(w->endpoints);
    free(w->users);
    free(w->chats);
    free(w->seats);
    free(w->messages);
    free(w->shown);
}
