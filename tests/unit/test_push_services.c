/* SPDX-License-Identifier: MIT */
/*
 * Many push services behind one lane: one that stands still takes no room of another's, and names
 * that somebody made up push nobody out who works.
 */
#include "sinks/mobile/services.h"
#include "tests/unit/test.h"

enum { MOST = 400 };

static struct services services;
static struct jobs jobs;

static void fresh(void)
{
    services_release(&services);
    CHECK_EQ(services_init(&services, true, MOST, 2), CQ_OK);
}

static struct service *put(int32_t at, const char *name, bool known)
{
    services_put(&services, at, span_str(name), known);
    return &services.v[at];
}

TEST(one_service_is_as_it_was)
{
    services_release(&services);
    CHECK_EQ(services_init(&services, false, MOST, 2), CQ_OK);
    CHECK(!services_are_many(&services) && !service_is_stranger(&services.v[0]));
    CHECK_EQ(services_room(&services, &services.v[0], 1), MOST);
}

TEST(a_service_that_stands_still_has_a_quarter)
{
    struct service *still, *other;

    fresh();
    still = put(0, "https://still", true);
    other = put(1, "https://other", true);
    while (services_room(&services, still, 1) > 0)
        services_started(&services, still);
    CHECK_EQ(still->flying, MOST / 4);
    CHECK_EQ(services_room(&services, other, 1), MOST / 4);
    for (int i = 0; i < BREAKER_FAILURES; i++)
        breaker_bad(&still->breaker, false, 1, 0);
    CHECK(service_is_stuck(still, &jobs, 1) && !service_is_stuck(other, &jobs, 1));
}

TEST(strangers_have_little_until_they_take_something)
{
    struct service *one;

    fresh();
    for (int32_t i = 0; i < SERVICES_MAX; i++) {
        char name[32];

        snprintf(name, sizeof name, "https://s%d", i);
        one = put(i, name, false);
        while (services_room(&services, one, 1) > 0)
            services_started(&services, one);
        CHECK(one->flying <= SERVICE_STRANGER_MOST);
    }
    CHECK_EQ(services.strangers, SERVICE_STRANGERS_MOST);
    CHECK(services_place(&services) >= 0); /* there is always one that has nothing under way */
    one = &services.v[0];
    CHECK(service_is_stranger(one) && one->flying == SERVICE_STRANGER_MOST);
    services_ended(&services, one);
    services_good(&services, one, 5);
    CHECK(!service_is_stranger(one));
    CHECK_EQ(services.strangers, SERVICE_STRANGERS_MOST - SERVICE_STRANGER_MOST);
    CHECK_EQ(services_room(&services, one, 5), MOST / 4 - 1);
    services_ended(&services, one);
    CHECK_EQ(services.strangers, SERVICE_STRANGERS_MOST - SERVICE_STRANGER_MOST);
}

static struct cq_id someone(int n)
{
    const struct cq_span part = span_of(&n, sizeof n);

    return id_derive("user", &part, 1);
}

/* Twenty users with subscriptions of another key. True: it is the configuration. */
static bool many_foreign(struct service *service)
{
    bool ours = false;

    for (int n = 0; n < EVIDENCE_USERS; n++)
        ours = evidence_foreign(&service->evidence, someone(n));
    return ours;
}

TEST(a_new_credential_makes_no_proof_forgotten)
{
    struct service *service;

    fresh();
    service = put(0, "https://listed", true);
    service_renewed(service, 1);
    CHECK(!services_trust(&services, service, 1));
    service_proven(service, 1);
    CHECK(services_trust(&services, service, 1));
    service_renewed(service, 2);
    CHECK(!many_foreign(service));                 /* nobody pauses it for others */
    CHECK(!services_trust(&services, service, 2)); /* nor ends a token, as the new one may be bad */
    service_proven(service, 2);
    CHECK(services_trust(&services, service, 2));
}

TEST(what_speaks_against_a_credential_goes_with_it)
{
    struct service *service;

    fresh();
    service = put(0, "https://listed", true);
    service_renewed(service, 1);
    CHECK(many_foreign(service));
    service_renewed(service, 1);
    CHECK(evidence_foreign(&service->evidence, someone(0)));
    service_renewed(service, 2);
    CHECK(!evidence_foreign(&service->evidence, someone(0)));
}

TEST(who_gives_way)
{
    fresh();
    for (int32_t i = 0; i < SERVICES_MAX; i++) {
        char name[32];

        CHECK_EQ(services_place(&services), i);
        snprintf(name, sizeof name, "https://s%d", i);
        services_good(&services, put(i, name, i == 7), 100 + i);
    }
    services.v[40].good_ms = 0; /* it never took anything */
    CHECK_EQ(services_place(&services), 40);
    services.v[40].held = true; /* pushes of it are in the hands of the sender */
    CHECK_EQ(services_place(&services), 0);
    services.v[40].held = false;
    services.v[40].flying = 1;
    CHECK_EQ(services_place(&services), 0); /* the one that did so longest ago */
    CHECK_EQ(services_find(&services, span_str("https://s63")), 63);
    CHECK_EQ(services_find(&services, span_str("https://s64")), -1);
}
