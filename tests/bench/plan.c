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

static bool user_add(struct world *world, char *rest)
{
    char *id = strsep(&rest, " "), *token = strsep(&rest, " ");
    struct user user = { 0 };

    if (!token || !id_take(user.id, id))
        return false;
    user.token = strdup(token);
    world->users = grow(world->users, world->users_n, &world->users_cap, sizeof *world->users);
    world->users[world->users_n++] = user;
    return true;
}

static bool seat_add(struct world *world, int user)
{
    struct chat *chat = &world->chats[world->chats_n - 1];
    struct user *who;

    if (user < 0 || user >= world->users_n || chat->seats_n == SEATS_MAX)
        return false;
    who = &world->users[user];
    who->seats = realloc(who->seats, (size_t)(who->seats_n + 1) * sizeof *who->seats);
    who->seats[who->seats_n++] = world->seats_n;
    world->seats = grow(world->seats, world->seats_n, &world->seats_cap, sizeof *world->seats);
    world->seats[world->seats_n++] = (struct seat){
        .chat = world->chats_n - 1,
        .user = user,
        .slot = chat->seats_n++,
        .own_last = -1,
        .tick_head = -1,
        .tick_tail = -1,
    };
    return true;
}

static bool chat_add(struct world *world, char *rest)
{
    char *id = strsep(&rest, " "), *kind = strsep(&rest, " ");
    struct chat chat = { .seat0 = world->seats_n };

    if (!kind || !rest || !id_take(chat.id, id))
        return false;
    chat.direct = strcmp(kind, "direct") == 0;
    world->chats = grow(world->chats, world->chats_n, &world->chats_cap, sizeof *world->chats);
    world->chats[world->chats_n++] = chat;
    while (rest) {
        char *word = strsep(&rest, ","), *end;
        long user = strtol(word, &end, 10);
        if (end == word || *end || !seat_add(world, (int)user))
            return false;
    }
    return true;
}

static bool line_take(struct world *world, char *line)
{
    char *rest = line, *word = strsep(&rest, " ");

    if (strcmp(word, "user") == 0)
        return user_add(world, rest);
    if (strcmp(word, "chat") == 0)
        return chat_add(world, rest);
    if (!rest)
        return false;
    if (strcmp(word, "run") == 0 && strlen(rest) == RUN_TEXT) {
        memcpy(world->run, rest, RUN_TEXT + 1);
        return true;
    }
    if (strcmp(word, "ws") == 0) {
        world->endpoints =
            realloc(world->endpoints, (size_t)(world->endpoints_n + 1) * sizeof(char *));
        world->endpoints[world->endpoints_n++] = strdup(rest);
        return true;
    }
    return false;
}

void world_load(struct world *world, const char *path, int64_t messages_max)
{
    static char line[LINE_MAX_BYTES];
    FILE *f = fopen(path, "re");
    int number = 0;

    if (!f)
        die(path, 0, "cannot be opened");
    while (fgets(line, sizeof line, f)) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (*line && !line_take(world, line))
            die(path, number, "is not understood");
    }
    fclose(f);
    if (!world->endpoints_n || !*world->run)
        die(path, number, "no `ws` or no `run` line");
    world->messages_max = messages_max;
    world->messages = calloc((size_t)messages_max, sizeof *world->messages);
    world->shown_max = SHOWN_FIRST;
    world->shown = calloc(SHOWN_FIRST / 64, sizeof *world->shown);
    if (!world->messages || !world->shown)
        die(path, number, "out of memory");
}

void world_release(struct world *world)
{
    for (int i = 0; i < world->users_n; i++) {
        free(world->users[i].token);
        free(world->users[i].seats);
    }
    for (int i = 0; i < world->endpoints_n; i++)
        free(world->endpoints[i]);
    free(world->endpoints);
    free(world->users);
    free(world->chats);
    free(world->seats);
    free(world->messages);
    free(world->shown);
}
