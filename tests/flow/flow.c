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

static _Noreturn void wrong(const struct script *script, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", script->path, script->line, what);
    exit(2);
}

/* Words are parted by spaces; a quoted one keeps its spaces and loses its quotes. */
static struct words split(char *line)
{
    struct words words = { .n = 0 };

    while (words.n < WORDS_MAX) {
        char end = ' ';

        line += strspn(line, " \t");
        if (!*line)
            break;
        if (*line == '"') {
            end = '"';
            line++;
        }
        words.v[words.n++] = line;
        line += strcspn(line, end == '"' ? "\"" : " \t");
        if (*line)
            *line++ = '\0';
    }
    return words;
}

static const char *word(const struct script *script, const struct words *words, int i)
{
    if (i >= words->n)
        wrong(script, "a word is missing");
    return words->v[i];
}

static int64_t position(const struct script *script, const char *text)
{
    if (*text != '#')
        wrong(script, "a position looks like #3");
    return seq_make(TOPIC_GENERATION, strtoll(text + 1, NULL, 10));
}

/* Fill chat and peer from "alice" (a user) or "@team" (a group, named by its client id). */
static void aim(struct world *world, struct chat_action *action, const char *target)
{
    static struct cq_id creators[64];
    static char known[64][32];
    static size_t n;

    if (*target != '@') {
        action->has_peer = true;
        action->peer = world_id(world, target);
        action->chat_id = chat_id_direct(action->user_id, action->peer);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(known[i], target) == 0) {
            action->chat_id = chat_id_group(creators[i], span_str(target));
            return;
        }
    if (action->action.kind == CHAT_ACTION_GROUP_CREATED && n < 64) {
        creators[n] = action->user_id;
        snprintf(known[n++], sizeof known[0], "%s", target);
        action->chat_id = chat_id_group(action->user_id, span_str(target));
    } else {
        action->chat_id = world_id(world, target); /* nobody made it */
    }
}

static struct chat_action action_of(struct world *world, const struct script *script,
                                    const struct words *words, enum chat_action_action_kind kind)
{
    struct chat_action action = { .at_ms = world->log_ms };

    action.user_id = world_id(world, word(script, words, 1));
    action.action.kind = kind;
    aim(world, &action, word(script, words, 2));
    return action;
}

/* What stands behind the client id: `re #0`, `@bob`, `fwd 2`, `at 5`, `card Ann`, `url X`. */
static void say_beside(struct world *world, const struct script *script, const struct words *words,
                       struct message_sent *sent)
{
    static struct cq_id mentions[WORDS_MAX];

    sent->mentions = mentions;
    for (int i = 5; i < words->n; i++)
        if (words->v[i][0] == '@') {
            mentions[sent->mentions_n++] = world_id(world, words->v[i] + 1);
        } else if (strcmp(words->v[i], "re") == 0) {
            sent->has_reply_to = true;
            sent->reply_to =
                (struct quoted){ { { 1 } }, position(script, word(script, words, ++i)) };
        } else if (strcmp(words->v[i], "fwd") == 0) {
            sent->has_forwarded = true;
            sent->forwarded = (int32_t)strtol(word(script, words, ++i), NULL, 10);
        } else if (strcmp(words->v[i], "at") == 0) {
            sent->has_contents = sent->contents.has_location = true;
            sent->contents.location.latitude = (int32_t)strtol(word(script, words, ++i), NULL, 10);
        } else if (strcmp(words->v[i], "card") == 0) {
            sent->has_contents = sent->contents.has_contact = true;
            sent->contents.contact.name = span_str(word(script, words, ++i));
        } else if (strcmp(words->v[i], "url") == 0) {
            sent->has_preview = true;
            sent->preview.url = span_str(word(script, words, ++i));
        } else {
            wrong(script, "behind a client id stands re #0, @bob, fwd 2, at 5, card Ann or url X");
        }
}

static void do_send(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGE_SENT);
    char fresh[24];

    snprintf(fresh, sizeof fresh, "fresh-%u", script->fresh++);
    action.client_id = span_str(words->n > 4 ? words->v[4] : fresh);
    say_beside(world, script, words, &action.action.u.message_sent);
    action.action.u.message_sent.content_type = span_str("text/plain");
    action.action.u.message_sent.content = span_str(word(script, words, 3));
    world_chat(world, &action);
}

static void do_group(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_GROUP_CREATED);
    struct cq_id members[WORDS_MAX];
    size_t n = 0;

    for (int i = 4; i < words->n; i++)
        members[n++] = world_id(world, words->v[i]);
    action.client_id = span_str(word(script, words, 2));
    action.action.u.group_created =
        (struct group_created){ span_str(word(script, words, 3)), members, n };
    world_chat(world, &action);
}

static void do_change(struct world *world, struct script *script, const struct words *words)
{
    static const char marks[] = "+-^v";
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MEMBERS_CHANGED);
    struct member_change changes[WORDS_MAX];
    size_t n = 0;

    for (int i = 3; i < words->n; i++) {
        const char *mark = strchr(marks, words->v[i][0]);

        if (!mark || !*mark)
            wrong(script, "a change looks like +dave");
        changes[n++] = (struct member_change){ world_id(world, words->v[i] + 1),
                                               (enum member_change_kind)(mark - marks) };
    }
    action.client_id = span_str("change");
    action.action.u.members_changed = (struct members_changed){ changes, n };
    world_chat(world, &action);
}

static void do_rename(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_CHAT_RENAMED);

    action.client_id = span_str("rename");
    action.action.u.chat_renamed.name = span_str(word(script, words, 3));
    world_chat(world, &action);
}

/* timer alice @team 86400 */
static void do_timer(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_TIMER_SET);

    action.client_id = span_str("timer");
    action.action.u.timer_set.seconds = strtoll(word(script, words, 3), NULL, 10);
    world_chat(world, &action);
}

static void do_describe(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_GROUP_DESCRIBED);

    action.client_id = span_str("describe");
    action.action.u.group_described.description = span_str(word(script, words, 3));
    world_chat(world, &action);
}

/* picture alice @team 7: the media of that number; without one, none any more */
static void do_picture(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_GROUP_PICTURED);
    struct group_pictured *pictured = &action.action.u.group_pictured;

    action.client_id = span_str("picture");
    pictured->has_picture = words->n > 3;
    if (pictured->has_picture)
        pictured->picture =
            (struct cq_id){ { (uint8_t)strtoll(word(script, words, 3), NULL, 10) } };
    world_chat(world, &action);
}

/* unfile alice @team 7: takes the file of that number away */
static void do_unfile(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MEDIA_DELETED);

    action.client_id = span_str("unfile");
    action.action.u.media_deleted.media_id =
        (struct cq_id){ { (uint8_t)strtoll(word(script, words, 3), NULL, 10) } };
    world_chat(world, &action);
}

/* rights alice @team send admins add everyone */
static void do_rights(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_RIGHTS_SET);
    struct rights_set *set = &action.action.u.rights_set;

    action.client_id = span_str("rights");
    for (int i = 3; i < words->n; i += 2) {
        const char *right = words->v[i];
        enum right_holders holders = strcmp(word(script, words, i + 1), "admins") == 0
                                         ? RIGHT_HOLDERS_ADMINS
                                         : RIGHT_HOLDERS_EVERYONE;

        if (strcmp(right, "send") == 0) {
            set->has_send = true;
            set->send = holders;
        } else if (strcmp(right, "info") == 0) {
            set->has_info = true;
            set->info = holders;
        } else if (strcmp(right, "add") == 0) {
            set->has_add = true;
            set->add = holders;
        } else {
            wrong(script, "a right is send, info or add");
        }
    }
    world_chat(world, &action);
}

/* invite alice @team door i1 uses 2 for 60: a link that is called door */
static void do_invite(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_INVITE_ASKED);
    struct invite_asked *asked = &action.action.u.invite_asked;

    action.client_id = span_str(word(script, words, 4));
    asked->invite_id = asked->hash = world_id(world, word(script, words, 3));
    for (int i = 5; i < words->n; i++) {
        if (strcmp(words->v[i], "approval") == 0)
            asked->approval = true;
        else if (strcmp(words->v[i], "uses") == 0)
            asked->uses = (int32_t)strtoll(word(script, words, ++i), NULL, 10);
        else if (strcmp(words->v[i], "for") == 0)
            asked->seconds = strtoll(word(script, words, ++i), NULL, 10);
        else
            wrong(script, "a link has uses, a time that it holds for, or asks for approval");
    }
    world_chat(world, &action);
}

/* revoke alice @team door */
static void do_revoke(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_INVITE_WITHDRAWN);

    action.client_id = span_str("revoke");
    action.action.u.invite_withdrawn.invite_id = world_id(world, word(script, words, 3));
    world_chat(world, &action);
}

/* join dave @team door j1 */
static void do_join(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_INVITE_USED);

    action.client_id = span_str(word(script, words, 4));
    action.action.u.invite_used.hash = world_id(world, word(script, words, 3));
    world_chat(world, &action);
}

/* grant alice @team dave */
static void answer(struct world *world, struct script *script, const struct words *words,
                   bool granted)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_REQUEST_ANSWERED);

    action.client_id = span_str("answer");
    action.action.u.request_answered =
        (struct request_answered){ world_id(world, word(script, words, 3)), granted };
    world_chat(world, &action);
}

static void do_grant(struct world *world, struct script *script, const struct words *words)
{
    answer(world, script, words, true);
}

static void do_refuse(struct world *world, struct script *script, const struct words *words)
{
    answer(world, script, words, false);
}

/* hide bob @team #1 #2 */
static void do_hide(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGES_PUT_AWAY);
    struct message_ref messages[WORDS_MAX];
    size_t n = 0;

    for (int i = 3; i < words->n; i++)
        messages[n++] = (struct message_ref){ { { 1 } }, position(script, words->v[i]) };
    action.client_id = span_str("hide");
    action.action.u.messages_put_away = (struct messages_put_away){ messages, n };
    world_chat(world, &action);
}

/* Whose message of a chat, under which client id and at which place: "bob c1 #4", from word `i` on. */
static struct target target_at(struct world *world, const struct script *script,
                               const struct words *words, int i)
{
    return (struct target){ world_id(world, word(script, words, i)),
                            span_str(word(script, words, i + 1)),
                            position(script, word(script, words, i + 2)) };
}

/* pin alice @team bob c1 #4 p1 */
static void pin(struct world *world, struct script *script, const struct words *words, bool pinned)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGE_PINNED);

    action.client_id = span_str(word(script, words, 6));
    action.action.u.message_pinned =
        (struct message_pinned){ target_at(world, script, words, 3), pinned };
    world_chat(world, &action);
}

static void do_pin(struct world *world, struct script *script, const struct words *words)
{
    pin(world, script, words, true);
}

static void do_unpin(struct world *world, struct script *script, const struct words *words)
{
    pin(world, script, words, false);
}

/* star bob @team #1 */
static void star(struct world *world, struct script *script, const struct words *words,
                 bool starred)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGE_STARRED);

    action.client_id = span_str("star");
    action.action.u.message_starred =
        (struct message_starred){ { { { 1 } }, position(script, word(script, words, 3)) },
                                  starred };
    world_chat(world, &action);
}

static void do_star(struct world *world, struct script *script, const struct words *words)
{
    star(world, script, words, true);
}

static void do_unstar(struct world *world, struct script *script, const struct words *words)
{
    star(world, script, words, false);
}

/* vote bob @team alice c1 #1 5 v1 */
static void do_vote(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_POLL_VOTED);

    action.client_id = span_str(word(script, words, 7));
    action.action.u.poll_voted =
        (struct poll_voted){ target_at(world, script, words, 3),
                             (int32_t)strtoll(word(script, words, 6), NULL, 10) };
    world_chat(world, &action);
}

/* end alice @team alice c1 #1 e1 */
static void do_end(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_POLL_ENDED);

    action.client_id = span_str(word(script, words, 6));
    action.action.u.poll_ended.target = target_at(world, script, words, 3);
    world_chat(world, &action);
}

static void do_delete(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGE_WITHDRAWN);

    action.client_id = span_str(word(script, words, 6));
    action.action.u.message_withdrawn.target = target_at(world, script, words, 3);
    world_chat(world, &action);
}

static void do_edit(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGE_REWRITTEN);

    action.client_id = span_str(word(script, words, 7));
    action.action.u.message_rewritten =
        (struct message_rewritten){ .target = target_at(world, script, words, 3),
                                    .content_type = span_str("text/plain"),
                                    .content = span_str(word(script, words, 6)) };
    world_chat(world, &action);
}

static void do_react(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_MESSAGE_REACTED);

    action.client_id = span_str(word(script, words, 7));
    action.action.u.message_reacted = (struct message_reacted){ target_at(world, script, words, 3),
                                                                span_str(word(script, words, 6)) };
    world_chat(world, &action);
}

static void do_block(struct world *world, struct script *script, const struct words *words)
{
    static unsigned n;
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_BLOCK_SET);
    char fresh[24];

    snprintf(fresh, sizeof fresh, "block-%u", n++);
    action.client_id = span_str(fresh);
    action.action.u.block_set.blocked = strcmp(words->v[0], "block") == 0;
    world_chat(world, &action);
}

static void do_receipt(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_RECEIPTS_ADVANCED);
    struct receipt receipt = { .chat_id = action.chat_id,
                               .user_id = action.user_id,
                               .has_peer = action.has_peer,
                               .peer = action.peer };

    for (int i = 3; i + 1 < words->n; i += 2) {
        int64_t seq = position(script, words->v[i + 1]);

        if (strcmp(words->v[i], "delivered") == 0)
            receipt.delivered_seq = seq;
        else if (strcmp(words->v[i], "hidden") == 0)
            receipt.hidden_seq = seq;
        else
            receipt.read_seq = seq;
    }
    action.action.u.receipts_advanced = (struct receipts_advanced){ &receipt, 1 };
    world_chat(world, &action);
}

static struct user_action user_of(struct world *world, const struct script *script,
                                  const struct words *words, enum user_action_action_kind kind)
{
    struct user_action action = { .at_ms = world->log_ms,
                                  .user_id = world_id(world, word(script, words, 1)) };

    action.action.kind = kind;
    return action;
}

static void do_link(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_DEVICE_LINKED);

    action.device_id = world_id(world, word(script, words, 2));
    action.action.u.device_linked.platform = span_str("other");
    world_user(world, &action);
}

static void do_unlink(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_DEVICE_UNLINKED);

    action.device_id = world_id(world, word(script, words, 2));
    action.action.u.device_unlinked.reason = span_str("logout");
    world_user(world, &action);
}

static void do_gone(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_ACCOUNT_DELETED);

    action.action.u.account_deleted.deleted_at_ms = 1;
    world_user(world, &action);
}

/* ended bob alice, ended bob @team: his account is no more */
static void do_ended(struct world *world, struct script *script, const struct words *words)
{
    struct chat_action action = action_of(world, script, words, CHAT_ACTION_ACCOUNT_ENDED);

    action.client_id = span_str("account-deleted");
    world_chat(world, &action);
}

/* push bob phone TOKEN: as an edge says it */
static void do_push(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_PUSH_CLAIMED);

    action.device_id = world_id(world, word(script, words, 2));
    action.action.u.push_claimed.address.token = span_str(word(script, words, 3));
    world_user(world, &action);
}

/* unpush bob phone TOKEN, or the offset of the registration instead of the token */
static void do_unpush(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_PUSH_UNREGISTERED);
    const char *what = words->n > 3 ? words->v[3] : "";
    bool offset = *what >= '0' && *what <= '9';

    action.device_id = world_id(world, word(script, words, 2));
    action.action.u.push_unregistered =
        (struct push_unregistered){ span_str("test"), span_str(offset ? "" : what),
                                    offset ? strtoll(what, NULL, 10) : -1 };
    world_user(world, &action);
}

/* read bob phone alice #0 [after #1]: as sinks/status says it */
static void do_read(struct world *world, struct script *script, const struct words *words)
{
    struct cq_id user = world_id(world, word(script, words, 1));
    struct delivery_item item = {
        .offset = 1,
        .class = FRAME_CLASS_STATUS,
        .chat_id = chat_id_direct(user, world_id(world, word(script, words, 3))),
        .seq = position(script, word(script, words, 4)),
        .sender_id = user,
        .at_ms = world->log_ms,
        .frame = span_str("}"),
        .to = &user,
        .to_n = 1,
        .has_read_by = true,
        .read_by = world_id(world, word(script, words, 2)),
    };

    world_deliver(world, DELIVERY_ORIGIN_DELIVERY_STATUS, &item);
}

/* mute bob alice 1000: their direct chat */
static void do_mute(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_CHAT_MUTED);

    action.action.u.chat_muted =
        (struct chat_muted){ chat_id_direct(action.user_id,
                                            world_id(world, word(script, words, 2))),
                             strtoll(word(script, words, 3), NULL, 10) };
    world_user(world, &action);
}

/* mark bob alice archived|unarchived|pinned|unpinned|unread|read|draft "text" …: their direct chat */
static void do_mark(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_CHAT_MARKED);
    struct chat_marked *marked = &action.action.u.chat_marked;

    marked->chat_id = chat_id_direct(action.user_id, world_id(world, word(script, words, 2)));
    for (int i = 3; i < words->n; i++) {
        const char *what = word(script, words, i);

        if (strcmp(what, "archived") == 0 || strcmp(what, "unarchived") == 0) {
            marked->has_archived = true;
            marked->archived = what[0] == 'a';
        } else if (strcmp(what, "pinned") == 0 || strcmp(what, "unpinned") == 0) {
            marked->has_pinned = true;
            marked->pinned = what[0] == 'p';
        } else if (strcmp(what, "draft") == 0) {
            marked->has_draft = true;
            marked->draft = span_str(word(script, words, ++i));
        } else {
            marked->has_marked_unread = true;
            marked->marked_unread = strcmp(what, "unread") == 0;
        }
    }
    world_user(world, &action);
}

/* about bob "hello" */
static void do_about(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_PROFILE_DETAILS_EDITED);

    action.action.u.profile_details_edited =
        (struct profile_details_edited){ .has_about = true,
                                         .about = span_str(word(script, words, 2)) };
    world_user(world, &action);
}

/* receipts bob off */
static void do_receipts(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_PROFILE_DETAILS_EDITED);

    action.action.u.profile_details_edited = (struct profile_details_edited){
        .has_read_receipts = true, .read_receipts = strcmp(word(script, words, 2), "on") == 0
    };
    world_user(world, &action);
}

/* open bob phone s1 slot 2 gw1 */
static void do_open(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_SESSION_OPENED);

    action.device_id = world_id(world, word(script, words, 2));
    action.action.u.session_opened = (struct session_opened){
        .session_id = world_id(world, word(script, words, 3)),
        .slot = (int32_t)strtol(word(script, words, 5), NULL, 10),
        .incarnation = world_id(world, word(script, words, 6)),
    };
    world_user(world, &action);
}

static void do_close(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_SESSION_CLOSED);

    action.action.u.session_closed.session_id = world_id(world, word(script, words, 2));
    world_user(world, &action);
}

/* lost bob s1 alice #0 */
static void do_lost(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = user_of(world, script, words, USER_ACTION_SESSION_LOST);
    struct lost_item item = { .frame = span_str("\"t\":\"message\"}") };

    item.sender_id = world_id(world, word(script, words, 3));
    item.seq = position(script, word(script, words, 4));
    action.action.u.session_lost =
        (struct session_lost){ world_id(world, word(script, words, 2)), &item, 1 };
    world_user(world, &action);
}

static void do_alive(struct world *world, struct script *script, const struct words *words)
{
    struct user_action action = { .at_ms = world->log_ms };

    action.action.kind = USER_ACTION_GATEWAY_ALIVE;
    action.action.u.gateway_alive.incarnation = world_id(world, word(script, words, 1));
    world_user(world, &action);
}

static void do_clock(struct world *world, struct script *script, const struct words *words)
{
    world->log_ms += strtoll(word(script, words, 1), NULL, 10) * 1000;
}

static void do_restart(struct world *world, struct script *script, const struct words *words)
{
    if (strcmp(word(script, words, 1), "chat") == 0)
        world_restart_chat(world);
    else
        world_restart_user(world);
}

static void do_replay(struct world *world, struct script *script, const struct words *words)
{
    world_replay_chat(world, seq_offset(position(script, word(script, words, 2))));
}

static const struct {
    const char *name;
    void (*run)(struct world *w, struct script *s, const struct words *v);
} verbs[] = {
    { "send", do_send },         { "group", do_group },     { "change", do_change },
    { "delete", do_delete },     { "edit", do_edit },       { "react", do_react },
    { "rename", do_rename },     { "receipt", do_receipt }, { "link", do_link },
    { "unlink", do_unlink },     { "open", do_open },       { "close", do_close },
    { "lost", do_lost },         { "alive", do_alive },     { "clock", do_clock },
    { "restart", do_restart },   { "replay", do_replay },   { "push", do_push },
    { "unpush", do_unpush },     { "mute", do_mute },       { "about", do_about },
    { "read", do_read },         { "block", do_block },     { "unblock", do_block },
    { "receipts", do_receipts }, { "timer", do_timer },     { "hide", do_hide },
    { "describe", do_describe }, { "rights", do_rights },   { "mark", do_mark },
    { "pin", do_pin },           { "unpin", do_unpin },     { "star", do_star },
    { "unstar", do_unstar },     { "invite", do_invite },   { "revoke", do_revoke },
    { "join", do_join },         { "picture", do_picture }, { "grant", do_grant },
    { "refuse", do_refuse },     { "gone", do_gone },       { "vote", do_vote },
    { "end", do_end },           { "ended", do_ended },     { "unfile", do_unfile },
};

/* Nothing may come out unseen. */
static void check_silent(struct world *world, struct script *script)
{
    for (; world->lines_at < world->lines_n; world->lines_at++) {
        if (script->show) {
            printf("-> %s\n", world->lines[world->lines_at]);
            continue;
        }
        fprintf(stderr, "%s:%d: unexpected: -> %s\n", script->path, script->line,
                world->lines[world->lines_at]);
        script->failed++;
    }
}

static void expect(struct world *world, struct script *script, const char *wanted)
{
    const char *got = world->lines_at < world->lines_n ? world->lines[world->lines_at] : "nothing";

    if (script->show)
        return;
    script->checked++;
    if (strcmp(got, wanted) != 0) {
        fprintf(stderr, "%s:%d:\n  wanted -> %s\n  got    -> %s\n", script->path, script->line,
                wanted, got);
        script->failed++;
    }
    if (world->lines_at < world->lines_n)
        world->lines_at++;
}

static void run_line(struct world *world, struct script *script, char *line)
{
    struct words words;

    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (strncmp(line, "-> ", 3) == 0) {
        expect(world, script, line + 3);
        return;
    }
    if (!*line || *line == '#') {
        if (script->show)
            printf("%s\n", line);
        return;
    }
    check_silent(world, script);
    if (script->show)
        printf("%s\n", line);
    words = split(line);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(words.v[0], verbs[i].name) == 0) {
            verbs[i].run(world, script, &words);
            if (script->show)
                check_silent(world, script);
            return;
        }
    wrong(script, "no such verb");
}

int main(int argc, char **argv)
{
    struct script script = { .path = argv[argc - 1], .show = argc == 3 };
    static struct world world;
    char line[1024];
    FILE *in = argc > 1 ? fopen(script.path, "r") : NULL;

    if (!in) {
        fprintf(stderr, "usage: flow [--show] FILE\n");
        return 2;
    }
    world_init(&world);
    while (fgets(line, sizeof line, in)) {
        script.line++;
        run_line(&world, &script, line);
    }
    check_silent(&world, &script);
    fclose(in);
    world_release(&world);
    if (!script.checked && !script.show) {
        fprintf(stderr, "%s: checks nothing\n", script.path);
        return 1;
    }
    if (!script.show)
        printf("%s: %d lines as expected, %d not\n", script.path, script.checked - script.failed,
               script.failed);
    return script.failed ? 1 : 0;
}
