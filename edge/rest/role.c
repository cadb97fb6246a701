/* SPDX-License-Identifier: MIT */
#include "edge/rest/role.h"

#include "edge/auth/archives.h"
#include "edge/rest/api/codes.h"
#include "edge/rest/api/conf.h"
#include "edge/rest/api/media_tus.h"
#include "edge/rest/api/routes.h"
#include "edge/rest/api/write.h"
#include "edge/rest/archive/archiver.h"
#include "edge/rest/keeper.h"
#include "edge/rest/leaver.h"
#include "edge/rest/server/loop.h"
#include "lib/base/clock.h"
#include "lib/base/count.h"
#include "lib/base/durability.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/settings.h"

#include <malloc.h>
#include <sys/resource.h>

enum {
    TURN_MS = 50,
    DRAIN_MS = 5000,
    FAILURES_SAID = 20,     /* in one second */
    DESCRIPTORS_KEPT = 256, /* for Kafka, PostgreSQL, files of the page and of users */
};

/* What the threads read; owned by the role. */
struct role_conf {
    struct server_conf server;
    struct api_conf api;
    struct address_ranges trusted;
};

static void read_media(struct media_conf *media)
{
    static const int64_t mib = 1024 * 1024;
    struct cq_span label = span_str("links to files");

    *media = (struct media_conf){
        .store = { .where = setting_text(SET_MEDIA_STORE),
                   .access_key = setting_text(SET_S3_ACCESS_KEY),
                   .secret_key = setting_text(SET_S3_SECRET_KEY),
                   .region = setting_text(SET_S3_REGION),
                   .public_url = setting_text(SET_S3_PUBLIC_URL) },
        .max_bytes = { [MESSAGE_TYPE_IMAGE] = setting_int(SET_MEDIA_IMAGE_MAX_MB) * mib,
                       [MESSAGE_TYPE_VIDEO] = setting_int(SET_MEDIA_VIDEO_MAX_MB) * mib,
                       [MESSAGE_TYPE_AUDIO] = setting_int(SET_MEDIA_AUDIO_MAX_MB) * mib,
                       [MESSAGE_TYPE_DOCUMENT] = setting_int(SET_MEDIA_DOCUMENT_MAX_MB) * mib },
        .daily_bytes = setting_int(SET_MEDIA_DAILY_MB) * mib,
        .part_bytes = setting_int(SET_MEDIA_PART_MB) * mib,
        .link_s = setting_int(SET_S3_LINK_S),
    };
    snprintf(media->piece_words, sizeof media->piece_words,
             "%lld bytes in one request at most (partBytes in /api/config): send it in pieces",
             (long long)media_piece_most(media));
    hmac_sha256(span_str(setting_text(SET_JWT_SECRET)), &label, 1, media->link_key);
}

/* Connections never use up the descriptors of everything else: what the process may open is raised
 * as far as it can be, and bounds them. A tunnel takes two. */
static uint32_t connections_max(void)
{
    int64_t wanted = setting_int(SET_REST_CONNECTIONS);
    int64_t each = *setting_text(SET_WS_UPSTREAM) ? 2 : 1, room;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return (uint32_t)wanted;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > INT32_MAX)
        return (uint32_t)wanted;
    room = ((int64_t)limit.rlim_cur - DESCRIPTORS_KEPT) / each;
    if (room >= wanted)
        return (uint32_t)wanted;
    log_warn("connections_bounded", LOG_I("connections", room > 1 ? room : 1),
             LOG_I("wanted", wanted), LOG_I("descriptors", (int64_t)limit.rlim_cur));
    return room > 1 ? (uint32_t)room : 1;
}

static bool read_door(struct role_conf *conf)
{
    struct door_conf *door = &conf->server.door;
    int64_t part_bytes = conf->api.media.part_bytes;

    *door = (struct door_conf){
        .conns_max = connections_max(),
        .conns_per_address = (uint32_t)setting_int(SET_CONNECTIONS_PER_ADDRESS),
        .body_memory_bytes = (size_t)setting_int(SET_BODY_MEMORY_MB) * 1024 * 1024,
        .body_max = part_bytes > CALL_BODY_MAX ? (size_t)part_bytes : CALL_BODY_MAX,
        .trusted = &conf->trusted,
        .proxy_protocol = setting_bool(SET_PROXY_PROTOCOL),
    };
    if (!address_ranges_parse(setting_text(SET_TRUSTED_PROXIES), &conf->trusted)) {
        log_error("bad_setting", LOG_S("name", "TRUSTED_PROXIES"),
                  LOG_S("why", "addresses or address/bits, comma-separated, at most 64"));
        return false;
    }
    if (door->body_memory_bytes < door_memory_least(door)) {
        log_error("bad_setting", LOG_S("name", "BODY_MEMORY_MB"),
                  LOG_S("why", "8 KiB for each of REST_CONNECTIONS and one MEDIA_PART_MB are more"),
                  LOG_I("least_bytes", (int64_t)door_memory_least(door)));
        return false;
    }
    return true;
}

/* A store that is away ends nothing: whoever needs it waits. One that cannot be is a bad
 * setting. */
static bool open_store(struct server_conf *conf, struct store **ret)
{
    if (!*conf->store.where)
        return true;
    if (store_new(&conf->store, ret) != CQ_OK) {
        log_error("bad_setting", LOG_S("name", "MEDIA_STORE"));
        return false;
    }
    conf->media_origin = store_origin(*ret);
    if (store_prepare(*ret) != CQ_OK)
        log_warn("store_away", LOG_S("why", store_why(*ret)));
    return true;
}

/* Log a line for each request that failed on our side, with the requestId that its client got and
 * can report. Of many in one second the first are logged, and the number of the others. Loop
 * thread. */
static void tell_failed(const struct call *call)
{
    static int64_t second, said, unsaid;
    int64_t now = clock_mono_ms() / 1000;

    if (now != second)
        said = 0;
    second = now;
    if (said++ >= FAILURES_SAID) {
        unsaid++;
        return;
    }
    log_write(call->reply.status == 500 ? LOG_ERROR : LOG_WARN, "request_failed",
              (const struct log_field[]){
                  LOG_S("request", call->request.id),
                  LOG_I("status", call->reply.status),
                  LOG_S("method", call->route ? call->route->method : ""),
                  LOG_S("route", call->route ? call->route->pattern : ""),
                  LOG_S("code", call->reply.error ? call->reply.error : ""),
                  LOG_S("text", call->reply.error_text),
                  LOG_S("why", call->reply.why),
                  LOG_I("unsaid_before", unsaid),
              },
              8);
    unsaid = 0;
}

static void read_api(struct api_conf *api)
{
    *api = (struct api_conf){
        .ws_url = setting_text(SET_WS_PUBLIC_URL),
        .code_driver = setting_text(SET_CODE_DRIVER),
        .vapid_public = setting_text(SET_VAPID_PUBLIC_KEY),
        .rate_per_minute = setting_int(SET_RATE_PER_MINUTE),
        .limits = { .pepper = span_str(setting_text(SET_PHONE_PEPPER)),
                    .most = { [BUDGET_CODES_ADDRESS] = setting_int(SET_CODE_PER_ADDRESS_HOUR),
                              [BUDGET_CODES_ALL] = setting_int(SET_CODE_TOTAL_HOUR),
                              [BUDGET_GUESSES_NUMBER] = setting_int(SET_GUESS_PER_NUMBER_DAY),
                              [BUDGET_GUESSES_ADDRESS] = setting_int(SET_GUESS_PER_ADDRESS_HOUR),
                              [BUDGET_GUESSES_ALL] = setting_int(SET_GUESS_TOTAL_HOUR),
                              [BUDGET_LOOKUPS_ADDRESS] = setting_int(SET_LOOKUP_PER_ADDRESS_DAY),
                              [BUDGET_LOOKUPS_ALL] = setting_int(SET_LOOKUP_TOTAL_DAY),
                              [BUDGET_LINKS_ADDRESS] = setting_int(SET_LINK_PER_ADDRESS_HOUR),
                              [BUDGET_LINKS_ALL] = setting_int(SET_LINK_TOTAL_HOUR),
                              [BUDGET_LINK_MISSES_ADDRESS] =
                                  setting_int(SET_LINK_GUESS_PER_ADDRESS_HOUR),
                              [BUDGET_EXPORTS_USER] = ARCHIVES_A_DAY },
                    .codes_number_hour = setting_int(SET_CODE_PER_NUMBER_HOUR),
                    .codes_number_day = setting_int(SET_CODE_PER_NUMBER_DAY),
                    .lookups_user_day = setting_int(SET_LOOKUP_STRANGERS_DAY) },
        .partitions = (int32_t)setting_int(SET_PARTITIONS),
    };
    snprintf(api->push_services, sizeof api->push_services, "%s,%s",
             setting_text(SET_WEBPUSH_SERVICES), setting_text(SET_WEBPUSH_MORE));
    read_media(&api->media);
}

static void read_server(struct role_conf *conf, struct log_disk *disk)
{
    const struct media_conf *media = &conf->api.media;

    conf->server = (struct server_conf){
        .listen = setting_text(SET_REST_LISTEN),
        .routes = api_routes,
        .api = &conf->api,
        .database_url = setting_text(SET_DATABASE_URL),
        .database_read_url = setting_text(SET_DATABASE_READ_URL),
        .brokers = setting_text(SET_KAFKA_BROKER),
        .group_commit = durability_parse(setting_text(SET_DURABILITY)) == DURABILITY_SYNCED,
        .origins = setting_text(SET_ALLOWED_ORIGINS),
        .media_origin = "",
        .web_root = setting_text(SET_WEB_ROOT),
        .ws_upstream = setting_text(SET_WS_UPSTREAM),
        .log_disk = disk,
        .store = media->store,
        .rate_per_minute = setting_int(SET_RATE_PER_MINUTE),
        .partitions = conf->api.partitions,
        .workers_n = (int)setting_int(SET_REST_WORKERS),
        .media_workers_n = (int)setting_int(SET_MEDIA_WORKERS),
        .raw_max = (size_t)media->part_bytes,
        .raw_words = media->piece_words,
        .options = tus_options,
        .tell_failed = tell_failed,
    };
}

static bool open_codes(struct api_conf *api)
{
    bool by_webhook = strcmp(api->code_driver, "webhook") == 0;

    if (!by_webhook && strcmp(api->code_driver, "log") != 0) {
        log_error("bad_setting", LOG_S("name", "CODE_DRIVER"));
        return false;
    }
    if (by_webhook && (!*setting_text(SET_CODE_WEBHOOK_URL) ||
                       code_lane_start(setting_text(SET_CODE_WEBHOOK_URL), &api->codes) != CQ_OK)) {
        log_error("bad_setting", LOG_S("name", "CODE_WEBHOOK_URL"));
        return false;
    }
    return true;
}

/* `conf` stays where it is: it points into itself. */
static bool read_conf(struct role_conf *conf, struct log_disk *disk)
{
    *conf = (struct role_conf){ .server = { .workers_n = 0 } };
    read_api(&conf->api);
    read_server(conf, disk);
    if (!read_door(conf) || !open_codes(&conf->api))
        return false;
    if (log_disk_init(disk, setting_text(SET_LOG_DISK), setting_int(SET_LOG_DISK_FREE_MIN_MB),
                      clock_mono_ms()) != CQ_OK) {
        log_error("bad_setting", LOG_S("name", "LOG_DISK"),
                  LOG_S("why", "a folder cannot be seen"));
        return false;
    }
    if (token_keys_new(setting_text(SET_JWT_SECRET), &conf->api.keys) != CQ_OK) {
        log_error("bad_setting", LOG_S("name", "JWT_SECRET"));
        return false;
    }
    conf->server.keys = conf->api.keys;
    return true;
}

/* Pieces of files come and go in large buffers. If each were returned to the kernel as soon as it
 * is free, the new pages for the next one would cost more than all else that is done with it. So
 * they are kept, and the loop gives them back now and then. */
enum { LARGE_BYTES = 32 * 1024 * 1024, TOP_BYTES = 64 * 1024 * 1024 };

/* What was logged last about the codes, so that each change is logged once. */
struct told {
    bool paused;
    enum { CODES_ENOUGH, CODES_NEAR, CODES_OVER } total;
    int64_t over; /* refused when it was said */
};

enum { CODES_NEAR_PERCENT = 60, CODES_ENOUGH_PERCENT = 40 };

static void tell_codes(struct told *told)
{
    bool paused = count_get(COUNT_CODES_PAUSED) != 0;
    int64_t used = count_get(COUNT_CODES_USED), over = count_get(COUNT_CODES_OVER);

    if (paused && !told->paused)
        log_warn("code_provider_paused", LOG_I("failed", count_get(COUNT_CODES_FAILED)));
    if (!paused && told->paused)
        log_info("code_provider_works", LOG_I("sent", count_get(COUNT_CODES_SENT)));
    told->paused = paused;
    if (over > told->over && told->total != CODES_OVER) {
        log_error("codes_at_ceiling", LOG_S("setting", "CODE_TOTAL_HOUR"));
        told->total = CODES_OVER;
    } else if (used >= CODES_NEAR_PERCENT && told->total == CODES_ENOUGH) {
        log_warn("codes_near_ceiling", LOG_I("percent", used));
        told->total = CODES_NEAR;
    } else if (used < CODES_ENOUGH_PERCENT && over == told->over) {
        told->total = CODES_ENOUGH;
    }
    told->over = over;
}

static void tell_room(const struct log_disk *log_disk, enum log_room *told)
{
    if (log_disk->room == *told)
        return;
    if (log_disk->room == LOG_ROOM_ENOUGH)
        log_info("log_has_room", LOG_I("free_bytes", log_disk->free_bytes));
    else
        log_warn("log_full", LOG_I("free_bytes", log_disk->free_bytes),
                 LOG_I("min_bytes", log_disk->min_bytes),
                 LOG_S("refused", log_disk->room == LOG_ROOM_LOW ? "sends" : "all"));
    *told = log_disk->room;
}

static void tell_cut(const struct rest_loop *loop, bool *told)
{
    struct bus_cut cut;
    bool is_cut = rest_loop_log_is_cut(loop, &cut);

    if (is_cut && !*told)
        log_error("log_was_cut", LOG_S("topic", cut.topic), LOG_I("partition", cut.partition),
                  LOG_I("end", cut.end), LOG_I("floor", cut.floor),
                  LOG_S("refused", "all that clients write"),
                  LOG_S("do", "stop every role, run chasqui admin log-was-cut, start them"));
    if (!is_cut && *told)
        log_info("log_is_whole");
    *told = is_cut;
}

static void tell_leaver(bool *told)
{
    bool failed = count_get(COUNT_LEAVER_FAILED) != 0;

    if (failed && !*told)
        log_warn("accounts_not_deleted",
                 LOG_S("why", "PostgreSQL or Kafka does not do it now; it is tried each second"));
    if (!failed && *told)
        log_info("accounts_are_deleted");
    *told = failed;
}

/* What was logged last about exports. */
struct told_exports {
    bool failing, waiting, stuck;
    int64_t failed;
};

static void tell_exports(struct told_exports *told)
{
    bool failing = count_get(COUNT_EXPORTS_FAILING) != 0;
    bool waiting = count_get(COUNT_EXPORTS_WAIT) != 0;
    bool stuck = count_get(COUNT_EXPORTS_STUCK) != 0;
    int64_t failed = count_get(COUNT_EXPORTS_FAILED);

    if (failing && !told->failing)
        log_warn("exports_not_made",
                 LOG_S("why", "PostgreSQL or the store does not do it now; it is tried again"));
    if (!failing && told->failing)
        log_info("exports_are_made");
    if (failed != told->failed)
        log_error("export_failed", LOG_I("failed", failed),
                  LOG_S("why", "given up after five tries; its user is told so"));
    if (waiting && !told->waiting)
        log_warn("exports_wait", LOG_S("setting", "EXPORT_TOTAL_MB"));
    if (!waiting && told->waiting)
        log_info("exports_go_on");
    if (stuck && !told->stuck)
        log_warn("exports_not_removed",
                 LOG_S("why", "the store does not delete their files now; it is tried again"));
    if (!stuck && told->stuck)
        log_info("exports_are_removed");
    *told = (struct told_exports){ failing, waiting, stuck, failed };
}

/* What works beside the loop. */
struct threads {
    struct keeper *keeper;
    struct leaver *leaver;
    struct archiver *archiver; /* NULL: there is no store */
};

static enum cq_status start_threads(const struct role_conf *conf, struct threads *threads)
{
    const struct archiver_conf archiver = { conf->server.database_url, conf->server.store,
                                            setting_int(SET_EXPORT_TOTAL_MB) * 1024 * 1024 };
    const struct leaver_conf leaver = { .database_url = conf->server.database_url,
                                        .brokers = conf->server.brokers,
                                        .partitions = conf->server.partitions };
    enum cq_status st = keeper_start(conf->server.database_url, &threads->keeper);

    if (st == CQ_OK)
        st = leaver_start(&leaver, &threads->leaver);
    if (st == CQ_OK && *archiver.store.where)
        st = archiver_start(&archiver, &threads->archiver);
    return st;
}

static void stop_threads(struct threads *threads)
{
    keeper_stop(threads->keeper);
    leaver_stop(threads->leaver);
    archiver_stop(threads->archiver);
}

int edge_rest_role_run(const volatile int *stop)
{
    struct role_conf conf;
    struct rest_loop *loop = NULL;
    bool kept =
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) == 1 && mallopt(M_TRIM_THRESHOLD, TOP_BYTES) == 1;
    struct told told = { 0 };
    struct told_exports told_exports = { 0 };
    struct threads threads = { 0 };
    enum log_room told_room = LOG_ROOM_ENOUGH;
    bool told_cut = false, told_leaver = false;
    struct log_disk disk;
    struct store *store = NULL;
    enum cq_status st = read_conf(&conf, &disk) && open_store(&conf.server, &store)
                            ? rest_loop_new(&conf.server, &loop)
                            : CQ_FATAL;
    int64_t until_ms;

    if (st == CQ_OK)
        st = start_threads(&conf, &threads);
    if (!kept)
        log_warn("large_buffers_not_kept");
    if (st == CQ_OK)
        log_info("ready", LOG_S("listen", conf.server.listen));
    else
        log_error("cannot_start", LOG_S("listen", conf.server.listen),
                  LOG_S("why", "address in use, or no memory"));
    while (st == CQ_OK && !*stop) {
        st = rest_loop_turn(loop, TURN_MS);
        tell_codes(&told);
        tell_room(&disk, &told_room);
        tell_cut(loop, &told_cut);
        tell_leaver(&told_leaver);
        tell_exports(&told_exports);
    }
    if (st != CQ_OK)
        log_ended(cq_status_name(st), loop ? rest_loop_error(loop) : "cannot start");
    if (loop)
        rest_loop_drain(loop);
    until_ms = clock_mono_ms() + DRAIN_MS;
    while (st == CQ_OK && rest_loop_calls(loop) && clock_mono_ms() < until_ms)
        st = rest_loop_turn(loop, TURN_MS);
    rest_loop_free(loop);
    stop_threads(&threads);
    code_lane_stop(conf.api.codes);
    store_free(store);
    token_keys_free(conf.api.keys);
    return st == CQ_OK ? 0 : 1;
}

/* The names of its members, separated by spaces. */
static void print_body(FILE *out, const struct json_members *body)
{
    for (size_t i = 0; i < body->n; i++) {
        fputs(i ? " " : "", out);
        if (body->v[i].kind == JSON_SPREAD) {
            print_body(out, body->v[i].items);
            continue;
        }
        fputs(body->v[i].name, out);
        if (body->v[i].also)
            fprintf(out, " %s", body->v[i].also);
    }
}

/* Where either of two bodies will do, " | " stands between them. */
static void print_bodies(FILE *out, const struct write *write)
{
    if (write && write->body)
        print_body(out, write->body);
    if (write && write->or_body) {
        fputs(" | ", out);
        print_body(out, write->or_body);
    }
}

void edge_rest_routes_print(FILE *out)
{
    for (const struct routes *const *table = api_routes; *table; table++)
        for (size_t i = 0; i < (*table)->n; i++) {
            const struct route *row = &(*table)->v[i];

            fprintf(out, "%s\t%s\t%s\t%s\t", row->method, row->pattern,
                    row->needs_token            ? "token"
                    : (row->flags & ROUTE_LINK) ? "link"
                                                : "anybody",
                    row->doc);
            print_bodies(out, row->write);
            fputc('\n', out);
        }
}
