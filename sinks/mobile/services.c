/* SPDX-License-Identifier: MIT */
#include "sinks/mobile/services.h"

#include "lib/base/assert.h"

#include <stdlib.h>

enum { LATE_MS = 10 * 1000, SHARE = 4 /* of all requests, one of many services has a quarter */ };

enum cq_status services_init(struct services *services, bool many, int most, int connections)
{
    *services =
        (struct services){ .n = many ? SERVICES_MAX : 1, .most = most, .connections = connections };
    services->v = calloc((size_t)services->n, sizeof *services->v);
    if (!services->v)
        return CQ_FATAL;
    if (!many)
        services_put(services, 0, span_of(NULL, 0), true);
    return CQ_OK;
}

void services_release(struct services *services)
{
    free(services->v);
    services->v = NULL;
}

int32_t services_find(const struct services *services, struct cq_span name)
{
    for (int32_t i = 0; i < services->n; i++)
        if (services->v[i].used && span_eq_str(name, services->v[i].name))
            return i;
    return -1;
}

int32_t services_place(const struct services *services)
{
    int32_t best = -1;

    for (int32_t i = 0; i < services->n; i++) {
        const struct service *service = &services->v[i];

        if (!service->used)
            return i;
        if (!service->flying && !service->held &&
            (best < 0 || service->good_ms < services->v[best].good_ms))
            best = i;
    }
    return best;
}

void services_put(struct services *services, int32_t at, struct cq_span name, bool known)
{
    struct service *service = &services->v[at];
    int most = services_are_many(services) ? services->most / SHARE : services->most;

    CQ_ASSERT(!service->used || !service->n, at, service->n);
    CQ_ASSERT(name.n <= SERVICE_NAME_MAX, name.n);
    *service = (struct service){ .used = true, .known = known };
    if (name.n)
        memcpy(service->name, name.p, name.n);
    job_list_init(&service->ready);
    flight_init(&service->flight, most > 0 ? most : 1, services->connections);
}

static int least(int left, int right)
{
    return left < right ? left : right;
}

int services_room(const struct services *services, const struct service *service, int64_t now_ms)
{
    int room =
        least(breaker_room(&service->breaker, now_ms), service->flight.size - service->flying);

    if (!service_is_stranger(service))
        return room;
    room = least(room, SERVICE_STRANGER_MOST - service->flying);
    return least(room, SERVICE_STRANGERS_MOST - services->strangers);
}

void services_started(struct services *services, struct service *service)
{
    service->flying++;
    services->strangers += service_is_stranger(service);
    breaker_started(&service->breaker);
}

void services_ended(struct services *services, struct service *service)
{
    CQ_ASSERT(service->flying > 0, service->flying);
    service->flying--;
    services->strangers -= service_is_stranger(service);
    CQ_ASSERT(services->strangers >= 0, services->strangers);
}

void services_good(struct services *services, struct service *service, int64_t now_ms)
{
    if (service_is_stranger(service))
        services->strangers -= service->flying; /* what is still under way is no stranger's now */
    service->good_ms = now_ms;
}

void service_renewed(struct service *service, int64_t credential_no)
{
    if (service->credential_no != credential_no && !service->evidence.proven)
        service->evidence = (struct evidence){ 0 };
    service->credential_no = credential_no;
}

void service_proven(struct service *service, int64_t credential_no)
{
    evidence_taken(&service->evidence);
    service->proven_no = credential_no;
}

bool services_trust(const struct services *services, const struct service *service,
                    int64_t credential_no)
{
    return service->evidence.proven &&
           (!services_are_many(services) || service->proven_no == credential_no);
}

bool service_is_stuck(const struct service *service, const struct jobs *jobs, int64_t now_ms)
{
    if (service->breaker.state != BREAKER_CLOSED)
        return true;
    return service->ready.n && now_ms - jobs->v[service->ready.first].ready_ms > LATE_MS;
}
