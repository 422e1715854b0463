/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
/*
 * esp_peer TUN WIRE: packets of a new TUN device in ESP on the device WIRE, told by lines on
 * standard input, each answered by one line.
 *
 *   sa out|in NAME=VALUE... make a security association (SA), see set_option(): its status
 *   end SPI                 end one
 *   seal SPI HEX            encrypt a packet: its status, and the packet if that is good
 *   open HEX                decrypt one: the same
 *   state SPI               next or highest sequence number, packets, largest inner packet
 *   counts                  packets between the devices by status, such as "in.OK=7";
 *                           E_PROTOCOL and E_NEED_SA are what is no business of the SAs
 *
 * A packet leaves by the SA whose `inner` is its destination. What arrives is read as it was on
 * the wire, fragments included.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <tunnelcap/tunnelcap.h>
#include <unistd.h>

enum {
    ROOM = 512, /* before and behind a packet */
    STORAGE = ROOM + 65536 + ROOM,
    MAX_SAS = 256,
    STATUSES = 600 /* above the number of any status, without its sign */
};

typedef struct sa {
    tunnelcap_esp *esp;
    tunnelcap_addr inner; /* destination of what it encrypts */
    uint32_t spi;
} sa;

typedef struct peer {
    int tun;
    int wire;   /* packet socket: what arrives, with its IP header */
    int out[2]; /* raw sockets that send whole packets: IPv4 and IPv6 */
    tunnelcap_lane *lane;
    const tunnelcap_crypto *crypto;
    sa sas[MAX_SAS];
    size_t count;
    uint64_t sent[STATUSES];
    uint64_t received[STATUSES];
    uint8_t storage[STORAGE];
} peer;

/* ---------------------------------------------------------------------------------- devices */
static int open_tun(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

    if (tun < 0)
        err(1, "/dev/net/tun");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(tun, TUNSETIFF, &request) != 0)
        err(1, "%s", name);
    return tun;
}

static int open_wire(const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int size = 8 << 20;
    int wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    address.sll_ifindex = (int)if_nametoindex(name);
    if (wire < 0 || address.sll_ifindex == 0 ||
        setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        bind(wire, (struct sockaddr *)&address, sizeof address) != 0)
        err(1, "%s", name);
    return wire;
}

static int open_raw(int family, const char *device)
{
    int raw = socket(family, SOCK_RAW, IPPROTO_RAW);

    if (raw < 0 ||
        setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) != 0)
        err(1, "raw socket");
    return raw;
}

/* Sockets that are never read: with them the host does not answer ESP with "unreachable". */
static void hold_sockets(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(TUNNELCAP_ESP_UDP_PORT)};
    int udp = socket(AF_INET6, SOCK_DGRAM, 0);

    if (socket(AF_INET, SOCK_RAW, IPPROTO_ESP) < 0 || socket(AF_INET6, SOCK_RAW, IPPROTO_ESP) < 0 ||
        udp < 0 || bind(udp, (struct sockaddr *)&any, sizeof any) != 0)
        err(1, "sockets for ESP");
}

static void open_peer(peer *p, const char *tun, const char *wire)
{
    uint8_t seed[TUNNELCAP_SEED_SIZE];
    tunnelcap_lane_config config;

    p->crypto = tunnelcap_crypto_openssl();
    tunnelcap_lane_config_init(&config, sizeof config);
    if (getrandom(seed, sizeof seed, 0) != sizeof seed)
        err(1, "getrandom");
    if (tunnelcap_lane_new(&config, seed, p->crypto, NULL, &p->lane) != TUNNELCAP_OK)
        errx(1, "no lane");
    hold_sockets();
    p->wire = open_wire(wire);
    p->out[0] = open_raw(AF_INET, wire);
    p->out[1] = open_raw(AF_INET6, wire);
    p->tun = open_tun(tun);
}

/* ------------------------------------------------------------------------------------- lines */
static size_t read_hex(const char *text, uint8_t *bytes, size_t room)
{
    size_t count = 0;
    uint8_t byte;
    int used;

    for (; sscanf(text, "%2hhx%n", &byte, &used) == 1; text += used) {
        if (count == room)
            errx(2, "too many bytes");
        bytes[count++] = byte;
    }
    return count;
}

static tunnelcap_addr read_address(const char *text)
{
    tunnelcap_addr addr = {0};

    if (inet_pton(AF_INET, text, addr.bytes) == 1)
        addr.family = TUNNELCAP_IPV4;
    else if (inet_pton(AF_INET6, text, addr.bytes) == 1)
        addr.family = TUNNELCAP_IPV6;
    else
        errx(2, "%s is not an IP address", text);
    return addr;
}

/* Options of an SA that are about keys: encr=ID integ=ID key=HEX salt=HEX ikey=HEX. */
static int set_key_option(tunnelcap_transform *transform, const char *name, const char *value)
{
    if (strcmp(name, "encr") == 0)
        transform->encr = (uint16_t)strtoul(value, NULL, 0);
    else if (strcmp(name, "integ") == 0)
        transform->integ = (uint16_t)strtoul(value, NULL, 0);
    else if (strcmp(name, "key") == 0)
        transform->encr_key_len =
            (uint16_t)read_hex(value, transform->encr_key, sizeof transform->encr_key);
    else if (strcmp(name, "salt") == 0)
        read_hex(value, transform->salt, sizeof transform->salt);
    else if (strcmp(name, "ikey") == 0)
        transform->integ_key_len =
            (uint16_t)read_hex(value, transform->integ_key, sizeof transform->integ_key);
    else
        return 0;
    return 1;
}

/* The others: spi=N local=ADDRESS remote=ADDRESS inner=ADDRESS mode=transport seq=N window=N
 * ecn=N df=N and, without a value of meaning, esn=1 and udp=1. */
static void set_option(tunnelcap_esp_config *config, sa *one, const char *name, const char *value)
{
    if (strcmp(name, "spi") == 0)
        config->spi = one->spi = (uint32_t)strtoul(value, NULL, 0);
    else if (strcmp(name, "local") == 0)
        config->outer.local = read_address(value);
    else if (strcmp(name, "remote") == 0)
        config->outer.remote = read_address(value);
    else if (strcmp(name, "inner") == 0)
        one->inner = read_address(value);
    else if (strcmp(name, "mode") == 0)
        config->mode =
            strcmp(value, "transport") == 0 ? TUNNELCAP_ESP_TRANSPORT : TUNNELCAP_ESP_TUNNEL;
    else if (strcmp(name, "seq") == 0)
        config->seq_start = strtoull(value, NULL, 0);
    else if (strcmp(name, "window") == 0)
        config->replay_window = (uint32_t)strtoul(value, NULL, 0);
    else if (strcmp(name, "ecn") == 0)
        config->outer.ecn_mode = (uint8_t)strtoul(value, NULL, 0);
    else if (strcmp(name, "df") == 0)
        config->outer.df_mode = (uint8_t)strtoul(value, NULL, 0);
    else if (strcmp(name, "esn") == 0)
        config->flags |= TUNNELCAP_ESP_ESN;
    else if (strcmp(name, "udp") == 0)
        config->flags |= TUNNELCAP_ESP_UDP;
    else
        errx(2, "no option %s", name);
}

static void add_sa(peer *p, char *words)
{
    tunnelcap_transform transform = {.size = sizeof transform,
                                     .flags = TUNNELCAP_TRANSFORM_ALLOW_WEAK};
    tunnelcap_esp_config config;
    sa *one = &p->sas[p->count];
    char *direction = strtok(words, " ");
    char *word;
    int32_t status;

    tunnelcap_esp_config_init(&config, sizeof config);
    if (direction == NULL || p->count == MAX_SAS)
        errx(2, "sa: no direction, or too many of them");
    config.direction = strcmp(direction, "out") == 0 ? TUNNELCAP_ESP_OUT : TUNNELCAP_ESP_IN;
    if (config.direction == TUNNELCAP_ESP_OUT) {
        config.nonce_origin = TUNNELCAP_NONCE_FRESH_KEY;
    } else {
        config.replay_mode = TUNNELCAP_REPLAY_WINDOW;
        config.seq_start = 0;
    }
    memset(one, 0, sizeof *one);
    while ((word = strtok(NULL, " ")) != NULL) {
        char *value = strchr(word, '=');
        if (value == NULL)
            errx(2, "%s has no value", word);
        *value++ = '\0';
        if (!set_key_option(&transform, word, value))
            set_option(&config, one, word, value);
    }
    status = tunnelcap_esp_new(&config, &transform, p->crypto, NULL, &one->esp);
    if (status == TUNNELCAP_OK)
        p->count++;
    puts(tunnelcap_status_name(status));
}

static sa *find_spi(peer *p, uint32_t spi)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->sas[i].spi == spi)
            return &p->sas[i];
    }
    return NULL;
}

static sa *find_spi_in_text(peer *p, const char *text)
{
    sa *found = find_spi(p, (uint32_t)strtoul(text, NULL, 0));

    if (found == NULL)
        errx(2, "no SPI %s", text);
    return found;
}

static void end_sa(peer *p, const char *spi)
{
    sa *one = find_spi_in_text(p, spi);

    tunnelcap_esp_forget(one->esp, p->lane);
    tunnelcap_esp_free(one->esp);
    *one = p->sas[--p->count];
    puts(tunnelcap_status_name(TUNNELCAP_OK));
}

/* ----------------------------------------------------------------------------------- packets */
/* Decrypt an outer packet by the SA of its SPI; its status, E_PROTOCOL if it is no ESP. */
static int32_t open_packet(peer *p, tunnelcap_pkt *pkt)
{
    tunnelcap_peek_result seen = {.size = sizeof seen};
    int32_t status = tunnelcap_peek(pkt, NULL, &seen);
    sa *one;

    if (seen.kind != TUNNELCAP_KIND_ESP)
        return TUNNELCAP_E_PROTOCOL;
    if (status != TUNNELCAP_OK)
        return status;
    if (seen.flags & TUNNELCAP_PEEK_FRAGMENT)
        return TUNNELCAP_E_FRAGMENT;
    one = find_spi(p, seen.key);
    if (one == NULL)
        return TUNNELCAP_E_NEED_SA;
    tunnelcap_esp_decap(one->esp, p->lane, pkt, NULL, 0, NULL, 1);
    return pkt->status;
}

static void answer_packet(const tunnelcap_pkt *pkt, int32_t status)
{
    fputs(tunnelcap_status_name(status), stdout);
    if (status >= 0) {
        putchar(' ');
        for (uint32_t i = 0; i < pkt->len; i++)
            printf("%02x", pkt->buf[pkt->off + i]);
    }
    putchar('\n');
}

static tunnelcap_pkt read_packet(peer *p, const char *text)
{
    tunnelcap_pkt pkt = {.buf = p->storage, .cap = STORAGE, .off = ROOM};

    pkt.len = (uint32_t)read_hex(text, p->storage + ROOM, STORAGE - 2 * ROOM);
    return pkt;
}

static void seal_line(peer *p, const char *text)
{
    sa *one = find_spi_in_text(p, text);
    tunnelcap_pkt pkt = read_packet(p, text + strcspn(text, " "));

    tunnelcap_esp_encap(one->esp, p->lane, &pkt, NULL, 0, 1);
    answer_packet(&pkt, pkt.status);
}

static void open_line(peer *p, const char *text)
{
    tunnelcap_pkt pkt = read_packet(p, text);
    int32_t status = open_packet(p, &pkt);

    answer_packet(&pkt, status);
}

static void tell_state(peer *p, const char *spi)
{
    const sa *one = find_spi_in_text(p, spi);
    tunnelcap_esp_state state;

    tunnelcap_esp_get_state(one->esp, &state, sizeof state);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu32 "\n", state.seq, state.packets,
           tunnelcap_esp_inner_mtu(one->esp, 1500));
}

static void tell_counts(const peer *p)
{
    int32_t status;

    for (uint32_t i = 0; tunnelcap_status_at(i, &status) == TUNNELCAP_OK; i++) {
        const char *name = tunnelcap_status_name(status);
        if (p->sent[abs(status)] != 0)
            printf("out.%s=%" PRIu64 " ", name, p->sent[abs(status)]);
        if (p->received[abs(status)] != 0)
            printf("in.%s=%" PRIu64 " ", name, p->received[abs(status)]);
    }
    putchar('\n');
}

static void obey(peer *p, char *line)
{
    char *rest = line + strcspn(line, " \n");

    line[strcspn(line, "\n")] = '\0';
    if (*rest != '\0')
        *rest++ = '\0';
    if (strcmp(line, "sa") == 0)
        add_sa(p, rest);
    else if (strcmp(line, "end") == 0)
        end_sa(p, rest);
    else if (strcmp(line, "seal") == 0)
        seal_line(p, rest);
    else if (strcmp(line, "open") == 0)
        open_line(p, rest);
    else if (strcmp(line, "state") == 0)
        tell_state(p, rest);
    else if (strcmp(line, "counts") == 0)
        tell_counts(p);
    else
        errx(2, "no command %s", line);
    fflush(stdout);
}

/* ---------------------------------------------------------------------------------- data path */
static sa *find_inner(peer *p, const uint8_t *packet)
{
    uint8_t family = packet[0] >> 4;
    size_t at = family == TUNNELCAP_IPV4 ? 16 : 24;
    size_t size = family == TUNNELCAP_IPV4 ? 4 : 16;

    for (size_t i = 0; i < p->count; i++) {
        if (p->sas[i].inner.family == family &&
            memcmp(p->sas[i].inner.bytes, packet + at, size) == 0)
            return &p->sas[i];
    }
    return NULL;
}

static void send_packet(const peer *p, const tunnelcap_pkt *pkt)
{
    const uint8_t *packet = pkt->buf + pkt->off;
    struct sockaddr_in to4 = {.sin_family = AF_INET};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
    ssize_t sent;

    if (packet[0] >> 4 == 4) {
        memcpy(&to4.sin_addr, packet + 16, 4);
        sent = sendto(p->out[0], packet, pkt->len, 0, (struct sockaddr *)&to4, sizeof to4);
    } else {
        memcpy(&to6.sin6_addr, packet + 24, 16);
        sent = sendto(p->out[1], packet, pkt->len, 0, (struct sockaddr *)&to6, sizeof to6);
    }
    if (sent < 0)
        warn("a packet of %u bytes", pkt->len);
}

static void tun_to_wire(peer *p)
{
    ssize_t got;

    while ((got = read(p->tun, p->storage + ROOM, STORAGE - 2 * ROOM)) > 0) {
        tunnelcap_pkt pkt = {.buf = p->storage, .cap = STORAGE, .off = ROOM, .len = (uint32_t)got};
        sa *one = find_inner(p, p->storage + ROOM);
        pkt.status = TUNNELCAP_E_NEED_SA;
        if (one != NULL && tunnelcap_esp_encap(one->esp, p->lane, &pkt, NULL, 0, 1) == 1)
            send_packet(p, &pkt);
        p->sent[abs(pkt.status)]++;
    }
}

/* What a device that is not up refuses is lost, as on any network. */
static void wire_to_tun(peer *p)
{
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t got;

    while ((got = recvfrom(p->wire, p->storage + ROOM, STORAGE - 2 * ROOM, 0,
                           (struct sockaddr *)&from, &size)) > 0) {
        tunnelcap_pkt pkt = {.buf = p->storage, .cap = STORAGE, .off = ROOM, .len = (uint32_t)got};
        int32_t status = TUNNELCAP_E_PROTOCOL;
        if (from.sll_pkttype != PACKET_OUTGOING)
            status = open_packet(p, &pkt);
        p->received[abs(status)]++;
        if (status >= 0 && write(p->tun, pkt.buf + pkt.off, pkt.len) < 0 && errno != EIO)
            err(1, "write to the TUN device");
    }
}

/* Commands come one at a time, each when the one before is answered. */
static int read_line(peer *p, char **line, size_t *size)
{
    if (getline(line, size, stdin) < 0)
        return 0;
    obey(p, *line);
    return 1;
}

int main(int argc, char **argv)
{
    static peer p;
    char *line = NULL;
    size_t size = 0;

    if (argc != 3)
        errx(2, "usage: esp_peer TUN WIRE");
    setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see every line */
    open_peer(&p, argv[1], argv[2]);
    for (;;) {
        struct pollfd ready[] = {{.fd = p.tun, .events = POLLIN},
                                 {.fd = p.wire, .events = POLLIN},
                                 {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(ready, 3, -1) < 0)
            err(1, "poll");
        tun_to_wire(&p);
        wire_to_tun(&p);
        if (ready[2].revents != 0 && !read_line(&p, &line, &size))
            break;
    }
    while (p.count > 0)
        tunnelcap_esp_free(p.sas[--p.count].esp);
    tunnelcap_lane_free(p.lane);
    free(line);
    return 0;
}
