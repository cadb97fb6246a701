/* SPDX-License-Identifier: MIT */
#include "lib/bus/security.h"
#include "lib/bus/rdkafka_conf.h"

#include "lib/base/contact.h"
#include "lib/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Written once by bus_security_use, before any thread; read-only after that. */
static struct bus_security in_use;

static bool given(const char *text)
{
    return text && *text;
}

static const char *protocol_of(const struct bus_security *security)
{
    if (security->sasl == BUS_SASL_NONE)
        return security->tls ? "ssl" : "plaintext";
    return security->tls ? "sasl_ssl" : "sasl_plaintext";
}

/* Names and values of what is given. The names of brokers are verified by this version's default;
 * it is said here so that another default changes nothing. */
static bool set_all(rd_kafka_conf_t *conf, const struct bus_security *security)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        { "security.protocol", protocol_of(security) },
        { "enable.ssl.certificate.verification", security->tls ? "true" : NULL },
        { "ssl.endpoint.identification.algorithm", security->tls ? "https" : NULL },
        { "ssl.ca.location", security->ca_file },
        { "ssl.certificate.location", security->cert_file },
        { "ssl.key.location", security->key_file },
        { "ssl.key.password", security->key_password },
        { "sasl.mechanism", security->sasl == BUS_SASL_PLAIN         ? "PLAIN"
                            : security->sasl == BUS_SASL_OAUTHBEARER ? "OAUTHBEARER"
                                                                     : NULL },
        { "sasl.username", security->sasl == BUS_SASL_PLAIN ? security->user : NULL },
        { "sasl.password", security->sasl == BUS_SASL_PLAIN ? security->password : NULL },
    };
    char why[256];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (given(rows[i].value) && rd_kafka_conf_set(conf, rows[i].name, rows[i].value, why,
                                                      sizeof why) != RD_KAFKA_CONF_OK) {
            log_debug("kafka_setting_refused", LOG_S("name", rows[i].name), LOG_S("why", why));
            return false;
        }
    return true;
}

static void on_token_wanted(rd_kafka_t *rk, const char *config, void *arg)
{
    struct bus_token *token = calloc(1, sizeof *token);
    char why[256] = "no memory for a token";
    enum cq_status st = token ? in_use.token(token, why, sizeof why) : CQ_AGAIN;

    (void)config;
    (void)arg;
    /* The principal's name is for this side's own use; the broker takes it from the token. */
    if (st == CQ_OK && rd_kafka_oauthbearer_set_token(rk, token->text, token->until_ms,
                                                      given(in_use.user) ? in_use.user : "chasqui",
                                                      NULL, 0, why, sizeof why))
        st = CQ_AGAIN;
    if (st != CQ_OK)
        rd_kafka_oauthbearer_set_token_failure(rk, why);
    free(token);
}

bool security_set(rd_kafka_conf_t *conf)
{
    if (!set_all(conf, &in_use))
        return false;
    if (in_use.sasl == BUS_SASL_OAUTHBEARER) {
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token_wanted);
        rd_kafka_conf_enable_sasl_queue(conf, 1);
    }
    return true;
}

/* Getting a token blocks: it has a thread of the library's own, and the owner of a client may poll
 * it as rarely as ever. */
void security_client_ready(rd_kafka_t *rk)
{
    rd_kafka_error_t *error;

    if (in_use.sasl != BUS_SASL_OAUTHBEARER)
        return;
    error = rd_kafka_sasl_background_callbacks_enable(rk);
    if (error)
        log_debug("kafka_token_thread", LOG_S("why", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
}

const char *security_settings(int err, const char *reason)
{
    if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        return in_use.sasl == BUS_SASL_OAUTHBEARER
                   ? "KAFKA_TOKEN_URL, KAFKA_USER and KAFKA_PASSWORD"
                   : "KAFKA_SASL, KAFKA_USER and KAFKA_PASSWORD";
    if (err == RD_KAFKA_RESP_ERR__SSL)
        return strstr(reason, "verif") ? "KAFKA_CA_FILE, and the names in KAFKA_BROKER"
                                       : "KAFKA_TLS, KAFKA_CERT_FILE and KAFKA_KEY_FILE";
    /* With TLS 1.3 a broker judges our certificate after its own part of the handshake is over. */
    if (strstr(reason, "SSL routines") && strstr(reason, "alert"))
        return "KAFKA_CERT_FILE and KAFKA_KEY_FILE";
    /* The library's own guess, when a broker hangs up on the first request. One that answered
     * before is only away, behind a balancer that still listens. */
    if (strstr(reason, "security.protocol") && !contact_was_heard(CONTACT_KAFKA))
        return "KAFKA_TLS, KAFKA_SASL and KAFKA_CERT_FILE";
    return NULL;
}

void security_note_error(int err, const char *reason)
{
    const char *settings = security_settings(err, reason);

    log_debug("kafka_error", LOG_S("code", rd_kafka_err2name((rd_kafka_resp_err_t)err)),
              LOG_S("reason", reason));
    if (settings && in_use.refused)
        in_use.refused(settings, reason);
}

/* The setting behind the library's name for it, when its words begin with that. */
static const char *named_in(const char *why)
{
    static const struct {
        const char *library, *ours;
    } names[] = {
        { "ssl.ca.location", "KAFKA_CA_FILE" },
        { "ssl.certificate.location", "KAFKA_CERT_FILE" },
        { "ssl.key.location", "KAFKA_KEY_FILE" },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strstr(why, names[i].library))
            return names[i].ours;
    return "KAFKA_TLS";
}

enum cq_status bus_security_use(const struct bus_security *how, char *reterr, size_t reterr_n)
{
    /* Without login: it is the certificates that are tried, and no token is asked for. */
    struct bus_security tried = *how;
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk = NULL;
    char why[512] = "the library refuses a setting";

    in_use = *how;
    if (!how->tls)
        return CQ_OK;
    tried.sasl = BUS_SASL_NONE;
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* to silence the complaint that no broker
                                                         * is configured */
    if (set_all(conf, &tried))
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        snprintf(reterr, reterr_n, "setting %s cannot be used: %s", named_in(why), why);
        return CQ_FATAL;
    }
    rd_kafka_destroy(rk);
    return CQ_OK;
}
