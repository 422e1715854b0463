/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/* Make-before-break: two tables rekey the tunnel between them while packets pass in both
 * directions; none is lost or refused. And SAs of many tunnels beside a simple model of them. */
#include "table.h"
#include "table_link.h"

enum { IN_FLIGHT = 40, SPIS = 4096 };

static tunnelcap_tunnel policies[2];
static table_link link_;

static tunnelcap_esp *make_sa(uint32_t from, uint8_t direction, uint32_t spi)
{
    static const char *const ends[2] = {"192.0.2.1", "198.51.100.1"};
    tunnelcap_transform transform = test_gcm();
    tunnelcap_esp_config config = test_esp_config(direction, ends[from], ends[1 - from]);
    config.spi = spi;
    return test_esp_new(&config, &transform, &link_.toy.crypto);
}

static void set(uint32_t end, tunnelcap_esp *esp, uint32_t state)
{
    test_ok(tunnelcap_table_begin(link_.tables[end]));
    test_ok(tunnelcap_table_set_sa(link_.tables[end], LINK_ID, esp, state, 0));
    test_ok(tunnelcap_table_commit(link_.tables[end], NULL));
}

/* An SA that is dead may be freed once that is settled. */
static void bury(uint32_t end, tunnelcap_esp *esp)
{
    uint64_t generation;
    test_ok(tunnelcap_table_begin(link_.tables[end]));
    test_ok(tunnelcap_table_set_sa(link_.tables[end], LINK_ID, esp, TUNNELCAP_SA_DEAD, 0));
    test_ok(tunnelcap_table_commit(link_.tables[end], &generation));
    ck_assert_uint_ge(tunnelcap_table_settled(link_.tables[end]), generation);
    tunnelcap_esp_forget(esp, link_.lanes[end]);
    tunnelcap_esp_free(esp);
}

/* Packets under way, in each direction; each arrives that many packets later. */
typedef struct flight {
    tunnelcap_pkt pkts[IN_FLIGHT];
    uint32_t sent;
    uint32_t arrived;
} flight;

static flight flights[2];

static void arrive(uint32_t from)
{
    flight *f = &flights[from];
    tunnelcap_result result;
    tunnelcap_pkt *pkt = &f->pkts[f->arrived % IN_FLIGHT];
    ck_assert_status(test_table_one(link_.lanes[1 - from], TUNNELCAP_DECAP, pkt, NULL, &result),
                     TUNNELCAP_OK);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_DELIVER);
    ck_assert_uint_eq(test_load32(pkt->buf + pkt->off + pkt->len - 4), f->arrived);
    test_pkt_free(pkt);
    f->arrived++;
}

static void depart(uint32_t from)
{
    flight *f = &flights[from];
    tunnelcap_result result;
    table_link_inner(from, TUNNELCAP_IPV4, 100, false);
    test_store32(world_frame.bytes + world_frame.len - 4, f->sent);
    tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
    ck_assert_status(test_table_one(link_.lanes[from], TUNNELCAP_ENCAP, &pkt, NULL, &result),
                     TUNNELCAP_OK);
    ck_assert_uint_eq(result.action, TUNNELCAP_DO_SEND);
    f->pkts[f->sent++ % IN_FLIGHT] = pkt;
}

/* Let packets pass in both directions; `delay` of them are under way. */
static void traffic(uint32_t packets, uint32_t delay)
{
    for (uint32_t i = 0; i < packets; i++) {
        for (uint32_t from = 0; from < 2; from++) {
            if (flights[from].sent - flights[from].arrived == delay)
                arrive(from);
            depart(from);
        }
    }
}

START_TEST(rekeying_under_traffic_loses_no_packet)
{
    static const uint32_t every[] = {1, 2, 7, 30};
    uint32_t spi = 0x2000;
    table_link_policies(policies);
    for (size_t k = 0; k < TEST_COUNT(every); k++) {
        table_link_open(&link_, LINK_ESP, policies);
        memset(flights, 0, sizeof(flights));
        for (uint32_t round = 0; round < 25; round++) {
            uint32_t delay = 1 + round % IN_FLIGHT;
            tunnelcap_esp *out[2], *in[2];
            for (uint32_t from = 0; from < 2; from++) {
                out[from] = make_sa(from, TUNNELCAP_ESP_OUT, spi + from);
                in[1 - from] = make_sa(from, TUNNELCAP_ESP_IN, spi + from);
            }
            spi += 2;
            for (uint32_t end = 0; end < 2; end++) { /* ready here and there, in any order */
                set(end, in[end], TUNNELCAP_SA_STAGED);
                set(end, out[end], TUNNELCAP_SA_STAGED);
                traffic(every[k], delay);
                set(end, in[end], TUNNELCAP_SA_IN_READY);
                traffic(every[k], delay);
            }
            for (uint32_t end = 0; end < 2; end++) {
                uint32_t first = (end + round) % 2;
                set(first, out[first], TUNNELCAP_SA_OUT_ACTIVE);
                traffic(every[k], delay);
                set(1 - first, link_.in[1 - first], TUNNELCAP_SA_DRAINING);
                traffic(every[k], delay);
            }
            for (uint32_t from = 0; from < 2; from++) /* all that went by the old ones arrives */
                while (flights[from].arrived < flights[from].sent)
                    arrive(from);
            for (uint32_t end = 0; end < 2; end++)
                ck_assert_uint_eq(test_esp_state(link_.out[end]).packets,
                                  test_esp_state(link_.in[1 - end]).packets);
            for (uint32_t end = 0; end < 2; end++) {
                bury(end, link_.in[end]);
                bury(end, link_.out[end]);
                link_.in[end] = in[end];
                link_.out[end] = out[end];
            }
        }
        for (uint32_t from = 0; from < 2; from++) {
            ck_assert_uint_eq(flights[from].arrived, 25 * 8 * every[k]);
            world_check_sums(link_.tables[from], LINK_ID, TUNNELCAP_ENCAP, 25 * 8 * every[k]);
            world_check_sums(link_.tables[from], LINK_ID, TUNNELCAP_DECAP, 25 * 8 * every[k]);
        }
        table_link_close(&link_);
    }
}
END_TEST

/* A router on the path quotes what the SA before has sent. */
START_TEST(error_about_a_packet_of_a_draining_sa_counts)
{
    for (uint32_t dead = 0; dead <= 1; dead++) {
        tunnelcap_result result;
        table_link_policies(policies);
        table_link_open(&link_, LINK_ESP, policies);
        table_link_inner(0, TUNNELCAP_IPV4, 1400, true);
        tunnelcap_pkt pkt = test_pkt_room(world_frame.bytes, world_frame.len, 80, 64);
        test_ok(test_table_one(link_.lanes[0], TUNNELCAP_ENCAP, &pkt, NULL, &result));
        tunnelcap_esp *next = make_sa(0, TUNNELCAP_ESP_OUT, 0x3000);
        set(0, next, TUNNELCAP_SA_OUT_ACTIVE);
        if (dead)
            set(0, link_.out[0], TUNNELCAP_SA_DEAD);
        test_ip router = test_between("203.0.113.250", "192.0.2.1");
        world_frame.len = 0;
        test_push(&world_frame, pkt.buf + pkt.off, 28);
        test_push_icmp_word(&world_frame, &router, 3, 4, 1300);
        test_push_ip(&world_frame, &router, 1);
        test_pkt_free(&pkt);
        pkt = test_pkt(world_frame.bytes, world_frame.len, 64);
        ck_assert_status(test_table_one(link_.lanes[0], TUNNELCAP_DECAP, &pkt, NULL, &result),
                         dead ? TUNNELCAP_E_ICMP : TUNNELCAP_OK);
        tunnelcap_tunnel_info info;
        test_ok(tunnelcap_table_get_info(link_.tables[0], LINK_ID, &info, sizeof(info)));
        ck_assert_uint_eq(info.path_mtu, dead ? 1500 : 1300);
        test_pkt_free(&pkt);
        test_ok(tunnelcap_table_begin(link_.tables[0]));
        test_ok(tunnelcap_table_remove_sa(link_.tables[0], LINK_ID, next));
        test_ok(tunnelcap_table_commit(link_.tables[0], NULL));
        tunnelcap_esp_forget(next, link_.lanes[0]);
        tunnelcap_esp_free(next);
        table_link_close(&link_);
    }
}
END_TEST

/* ---- a model ---- */

enum { TUNNELS = 3, MODEL_SAS = 24, CAPACITY = 12 };

/* What the model knows of an SA; tunnel 0: the table does not have it. Dead inbound ones stay by
 * SPI, in the order in which they died, until a new SA needs their room or their SPI. */
typedef struct model_sa {
    tunnelcap_esp *esp;
    uint32_t spi;
    uint32_t tunnel;
    uint32_t state;
    uint32_t owner;
    uint8_t direction;
} model_sa;

typedef struct model {
    model_sa sas[MODEL_SAS];
    struct {
        uint32_t spi, tunnel;
    } dead[CAPACITY];
    uint32_t dead_count;
    uint32_t there[TUNNELS + 1]; /* 1: the tunnel exists */
} model;

static uint32_t live_count(const model *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_SAS; i++)
        count += m->sas[i].tunnel != 0;
    return count;
}

static void drop_dead(model *m, uint32_t index)
{
    memmove(&m->dead[index], &m->dead[index + 1], (m->dead_count - index - 1) * sizeof(m->dead[0]));
    m->dead_count--;
}

static bool may_become(uint32_t from, uint32_t to)
{
    if (from == TUNNELCAP_SA_OUT_ACTIVE && to == TUNNELCAP_SA_IN_READY)
        return true;
    if (to < from || (from == 0 && to > TUNNELCAP_SA_OUT_ACTIVE))
        return false;
    return from != TUNNELCAP_SA_STAGED || to != TUNNELCAP_SA_DRAINING;
}

/* Whether another live inbound SA has the SPI. */
static bool is_taken(const model *m, const model_sa *sa)
{
    for (uint32_t i = 0; i < MODEL_SAS; i++) {
        const model_sa *other = &m->sas[i];
        if (other != sa && other->tunnel != 0 && other->direction == TUNNELCAP_ESP_IN &&
            sa->direction == TUNNELCAP_ESP_IN && other->spi == sa->spi)
            return true;
    }
    return false;
}

static void model_add(model *m, model_sa *sa, uint32_t tunnel)
{
    for (uint32_t i = m->dead_count; i-- > 0 && sa->direction == TUNNELCAP_ESP_IN;) {
        if (m->dead[i].spi == sa->spi)
            drop_dead(m, i);
    }
    if (live_count(m) + m->dead_count == CAPACITY)
        drop_dead(m, 0);
    sa->tunnel = tunnel;
    sa->owner = 0;
}

/* The same as tunnelcap_table_set_sa(). */
static int32_t model_set(model *m, uint32_t tunnel, model_sa *sa, uint32_t state)
{
    uint32_t from = sa->tunnel == tunnel ? sa->state : 0;
    if (!m->there[tunnel])
        return TUNNELCAP_E_NOT_FOUND;
    if (!may_become(from, state))
        return TUNNELCAP_E_STATE;
    if (from == 0 && (is_taken(m, sa) || (sa->tunnel != 0 && sa->direction == TUNNELCAP_ESP_IN)))
        return TUNNELCAP_E_EXISTS;
    if (from == 0 && live_count(m) == CAPACITY)
        return TUNNELCAP_E_FULL;
    if (from == 0)
        model_add(m, sa, tunnel);
    for (uint32_t i = 0; i < MODEL_SAS && state == TUNNELCAP_SA_OUT_ACTIVE; i++) {
        model_sa *other = &m->sas[i];
        if (other != sa && other->tunnel == tunnel && sa->direction == TUNNELCAP_ESP_OUT &&
            other->direction == TUNNELCAP_ESP_OUT && other->state == TUNNELCAP_SA_OUT_ACTIVE)
            other->state = TUNNELCAP_SA_DRAINING;
    }
    sa->state = state;
    if (state == TUNNELCAP_SA_DEAD) {
        if (sa->direction == TUNNELCAP_ESP_IN) {
            m->dead[m->dead_count].spi = sa->spi;
            m->dead[m->dead_count++].tunnel = tunnel;
        }
        sa->tunnel = 0;
    }
    return TUNNELCAP_OK;
}

static void model_remove_tunnel(model *m, uint32_t tunnel)
{
    for (uint32_t i = 0; i < MODEL_SAS; i++) {
        if (m->sas[i].tunnel == tunnel)
            m->sas[i].tunnel = 0;
    }
    for (uint32_t i = m->dead_count; i-- > 0;) {
        if (m->dead[i].tunnel == tunnel)
            drop_dead(m, i);
    }
    m->there[tunnel] = 0;
}

/* All that the table tells of its SAs, and whom it sends by. */
static void compare(const tunnelcap_table *table, const model *m)
{
    for (uint32_t id = 1; id <= TUNNELS; id++) {
        tunnelcap_sa_info info;
        tunnelcap_tunnel_info facts;
        uint32_t count = 0, want = 0, sends = 0;
        while (tunnelcap_table_sa_at(table, id, count, &info, sizeof(info)) == TUNNELCAP_OK) {
            bool found = false;
            for (uint32_t i = 0; i < MODEL_SAS; i++)
                found |= m->sas[i].tunnel == id && m->sas[i].spi == info.spi &&
                         m->sas[i].direction == info.direction && m->sas[i].state == info.state &&
                         m->sas[i].owner == info.owner;
            for (uint32_t i = 0; i < m->dead_count; i++)
                found |= m->dead[i].tunnel == id && m->dead[i].spi == info.spi &&
                         info.state == TUNNELCAP_SA_DEAD;
            ck_assert_msg(found, "tunnel %u has an SA %u in state %u", id, info.spi, info.state);
            count++;
        }
        for (uint32_t i = 0; i < MODEL_SAS; i++) {
            want += m->sas[i].tunnel == id;
            if (m->sas[i].tunnel == id && m->sas[i].direction == TUNNELCAP_ESP_OUT &&
                m->sas[i].state == TUNNELCAP_SA_OUT_ACTIVE)
                sends = m->sas[i].spi;
        }
        for (uint32_t i = 0; i < m->dead_count; i++)
            want += m->dead[i].tunnel == id;
        ck_assert_uint_eq(count, want);
        if (m->there[id]) {
            test_ok(tunnelcap_table_get_info(table, id, &facts, sizeof(facts)));
            ck_assert_uint_eq(facts.key, sends);
        }
    }
}

static int32_t random_change(tunnelcap_table *table, model *m, test_random *random)
{
    uint32_t id = 1 + test_below(random, TUNNELS);
    model_sa *sa = &m->sas[test_below(random, MODEL_SAS)];
    uint32_t what = test_below(random, 40);
    if (what == 0) {
        int32_t status = tunnelcap_table_remove(table, id);
        ck_assert_status(status, m->there[id] ? TUNNELCAP_OK : TUNNELCAP_E_NOT_FOUND);
        model_remove_tunnel(m, id);
    } else if (what < 5) {
        test_ok(tunnelcap_table_set_esp(table, id, NULL)); /* again, or anew */
        m->there[id] = 1;
    } else if (what < 9) {
        bool has = sa->tunnel == id && m->there[id];
        ck_assert_status(tunnelcap_table_remove_sa(table, id, sa->esp),
                         has ? TUNNELCAP_OK : TUNNELCAP_E_NOT_FOUND);
        if (has)
            sa->tunnel = 0;
    } else if (what < 13 && sa->direction == TUNNELCAP_ESP_IN) {
        bool has = sa->tunnel == id && m->there[id];
        ck_assert_status(tunnelcap_table_set_owner(table, id, sa->esp, what),
                         has ? TUNNELCAP_OK : TUNNELCAP_E_NOT_FOUND);
        if (has)
            sa->owner = what;
    } else {
        uint32_t state = 1 + test_below(random, 5);
        if (sa->tunnel != 0 && test_below(random, 4) != 0)
            id = sa->tunnel;
        if (sa->tunnel != 0 && sa->tunnel != id && sa->direction == TUNNELCAP_ESP_OUT)
            return TUNNELCAP_OK; /* one SA of two tunnels: permitted, and not modelled */
        int32_t want = model_set(m, id, sa, state);
        ck_assert_status(tunnelcap_table_set_sa(table, id, sa->esp, state, 0), want);
    }
    return TUNNELCAP_OK;
}

START_TEST(sas_are_as_the_model_says)
{
    tunnelcap_table_config config;
    tunnelcap_table *table;
    test_random random = {7};
    table_link_policies(policies);
    table_link_open(&link_, LINK_GRE, policies); /* for its provider */
    test_ok(tunnelcap_table_config_init(&config, sizeof(config)));
    config.tunnels = 16;
    config.sas = CAPACITY;
    test_ok(tunnelcap_table_new(&config, test_seed, test_alloc(), &table));
    static model m, before;
    memset(&m, 0, sizeof(m));
    for (uint32_t i = 0; i < MODEL_SAS; i++) {
        m.sas[i].direction = i % 2 ? TUNNELCAP_ESP_OUT : TUNNELCAP_ESP_IN;
        m.sas[i].spi = 1000 + i / 2 % 8; /* some have the SPIs of others */
        m.sas[i].esp = make_sa(0, m.sas[i].direction, m.sas[i].spi);
    }
    for (uint32_t round = 0; round < 4000; round++) {
        uint32_t changes = 1 + test_below(&random, 6);
        before = m;
        test_ok(tunnelcap_table_begin(table));
        for (uint32_t i = 0; i < changes; i++)
            random_change(table, &m, &random);
        if (test_below(&random, 8) == 0) {
            tunnelcap_table_abort(table);
            m = before;
        } else {
            test_ok(tunnelcap_table_commit(table, NULL));
        }
        compare(table, &m);
        if (round % 2 == 0) { /* the other view has followed */
            test_ok(tunnelcap_table_begin(table));
            test_ok(tunnelcap_table_commit(table, NULL));
            compare(table, &m);
        }
    }
    tunnelcap_table_free(table);
    for (uint32_t i = 0; i < MODEL_SAS; i++)
        tunnelcap_esp_free(m.sas[i].esp);
    table_link_close(&link_);
}
END_TEST

Suite *test_table_rekey_suite(void)
{
    const TTest *tests[] = {
        rekeying_under_traffic_loses_no_packet,
        error_about_a_packet_of_a_draining_sa_counts,
        sas_are_as_the_model_says,
    };
    return test_suite("table_rekey", tests, TEST_COUNT(tests));
}
