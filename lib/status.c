/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, The tunnelcap authors */
#include <tunnelcap/status.h>

static const struct {
    int32_t status;
    const char *name;
    const char *text;
} known[] = {
    {TUNNELCAP_OK, "OK", "done"},
    {TUNNELCAP_KEEPALIVE, "KEEPALIVE", "a GRE keepalive: send the inner packet back as it is"},
    {TUNNELCAP_MSS_CLAMPED, "MSS_CLAMPED", "MSS lowered to the limit"},
    {TUNNELCAP_MSS_INSERTED, "MSS_INSERTED", "MSS option added to a SYN that had none"},
    {TUNNELCAP_MSS_SMALL, "MSS_SMALL", "MSS is at or below the limit already"},
    {TUNNELCAP_MSS_ABSENT, "MSS_ABSENT", "a SYN without MSS option; none was to be inserted"},
    {TUNNELCAP_MSS_PROTECTED, "MSS_PROTECTED", "TCP-AO, or TCP-MD5 where one was to be inserted"},
    {TUNNELCAP_MSS_NO_ROOM, "MSS_NO_ROOM", "no room to insert: TCP header full, or no headroom"},
    {TUNNELCAP_NOT_SYN, "NOT_SYN", "not TCP, or TCP without SYN: nothing to clamp"},
    {TUNNELCAP_FRAGMENT, "FRAGMENT", "a fragment that does not hold the TCP header"},
    {TUNNELCAP_REKEY_SOON, "REKEY_SOON", "encrypted; a soft limit is reached: make a new SA"},
    {TUNNELCAP_KEPT, "KEPT", "a fragment, copied: it waits for the others"},
    {TUNNELCAP_WHOLE, "WHOLE", "not a fragment: nothing to reassemble"},
    {TUNNELCAP_CHANGED, "CHANGED", "done, and what is watched has changed its state"},
    {TUNNELCAP_E_TRUNCATED, "E_TRUNCATED", "ends before its headers say"},
    {TUNNELCAP_E_MALFORMED, "E_MALFORMED", "a header contradicts itself or its RFC"},
    {TUNNELCAP_E_CHECKSUM, "E_CHECKSUM", "a checksum that is present is wrong"},
    {TUNNELCAP_E_NO_CHECKSUM, "E_NO_CHECKSUM",
     "the tunnel demands a checksum; the packet has none"},
    {TUNNELCAP_E_AUTH, "E_AUTH", "wrong integrity check value (ICV), or none where ESP is due"},
    {TUNNELCAP_E_PROTOCOL, "E_PROTOCOL", "not a protocol that a tunnel of this kind carries"},
    {TUNNELCAP_E_NO_TUNNEL, "E_NO_TUNNEL", "belongs to no tunnel here: addresses, key or port"},
    {TUNNELCAP_E_GRE_VERSION, "E_GRE_VERSION", "enhanced GRE (version 1, PPTP) or a later version"},
    {TUNNELCAP_E_GRE_FLAGS, "E_GRE_FLAGS",
     "GRE routing, strict source route or reserved bit 5 set"},
    {TUNNELCAP_E_SEQUENCE, "E_SEQUENCE", "out of order, and the tunnel drops such packets"},
    {TUNNELCAP_E_FRAGMENT, "E_FRAGMENT", "a fragment of an outer packet: reassemble first"},
    {TUNNELCAP_E_ECN, "E_ECN", "congestion mark over a Not-ECT packet (RFC 6040 4.2)"},
    {TUNNELCAP_E_LOOP, "E_LOOP", "the inner destination is the encapsulator itself"},
    {TUNNELCAP_E_PADDING, "E_PADDING", "ESP padding that RFC 4303 2.4 does not know"},
    {TUNNELCAP_E_NO_ROUTE, "E_NO_ROUTE", "no route for the inner destination"},
    {TUNNELCAP_E_REPLAY, "E_REPLAY", "seen before, or left of the replay window"},
    {TUNNELCAP_E_DUMMY, "E_DUMMY", "a dummy packet (RFC 4303 2.6), verified"},
    {TUNNELCAP_E_IKE, "E_IKE", "IKE behind a non-ESP marker: give it to the IKE daemon"},
    {TUNNELCAP_E_NAT_KEEPALIVE, "E_NAT_KEEPALIVE", "a NAT keepalive (RFC 3948 2.3)"},
    {TUNNELCAP_E_OVERLAP, "E_OVERLAP", "fragments that overlap (RFC 5722)"},
    {TUNNELCAP_E_TINY_FRAGMENT, "E_TINY_FRAGMENT",
     "a fragment that hides its headers from filters"},
    {TUNNELCAP_E_NO_ANSWER, "E_NO_ANSWER", "must not be answered with an ICMP message"},
    {TUNNELCAP_E_RATE_LIMITED, "E_RATE_LIMITED", "an ICMP error too soon after others"},
    {TUNNELCAP_E_ICMP, "E_ICMP", "no ICMP error about a packet of ours, or no plausible one"},
    {TUNNELCAP_E_ENCAP_LIMIT, "E_ENCAP_LIMIT", "may enter no more tunnels (RFC 2473 4.1.1)"},
    {TUNNELCAP_E_TTL, "E_TTL", "TTL or hop limit is used up"},
    {TUNNELCAP_E_SPOOFED, "E_SPOOFED", "the inner source does not belong to the tunnel"},
    {TUNNELCAP_E_MARTIAN, "E_MARTIAN", "an inner address that may not travel (RFC 1812 5.3.7)"},
    {TUNNELCAP_E_SELECTOR, "E_SELECTOR", "no selector of the SA permits it (RFC 4301 5.2)"},
    {TUNNELCAP_E_HEADROOM, "E_HEADROOM", "fewer bytes before the packet than _headroom asks for"},
    {TUNNELCAP_E_TAILROOM, "E_TAILROOM", "fewer bytes behind the packet than needed"},
    {TUNNELCAP_E_TOO_BIG, "E_TOO_BIG", "larger than the tunnel's inner MTU, or than IP allows"},
    {TUNNELCAP_E_FULL, "E_FULL", "no free slot left in a structure of fixed capacity"},
    {TUNNELCAP_E_SEQ_EXHAUSTED, "E_SEQ_EXHAUSTED", "sequence numbers or IVs are used up"},
    {TUNNELCAP_E_EXPIRED, "E_EXPIRED", "a hard lifetime is reached, or the SA is dead"},
    {TUNNELCAP_E_NEED_SA, "E_NEED_SA", "no security association for this tunnel, or of this SPI"},
    {TUNNELCAP_E_NOT_OWNER, "E_NOT_OWNER", "another server's: hand it on to that one"},
    {TUNNELCAP_E_INVALID, "E_INVALID", "NULL, misaligned or contradictory argument"},
    {TUNNELCAP_E_VERSION, "E_VERSION", "struct from a version that this library does not know"},
    {TUNNELCAP_E_UNSUPPORTED, "E_UNSUPPORTED", "not in this build, or not for this kind of object"},
    {TUNNELCAP_E_NOMEM, "E_NOMEM", "memory too small, or the allocator refused"},
    {TUNNELCAP_E_EXISTS, "E_EXISTS", "another tunnel already answers to the same packets"},
    {TUNNELCAP_E_NOT_FOUND, "E_NOT_FOUND", "no such tunnel or route"},
    {TUNNELCAP_E_STATE, "E_STATE", "not now: begin before set, commit before begin again"},
    {TUNNELCAP_E_FLAGS, "E_FLAGS", "unknown flag, or flags that exclude each other"},
    {TUNNELCAP_E_MODE, "E_MODE", "a mode field holds a value out of its list"},
    {TUNNELCAP_E_ADDRESS, "E_ADDRESS", "address missing, unusable, or families differ"},
    {TUNNELCAP_E_PORT, "E_PORT", "UDP port out of range"},
    {TUNNELCAP_E_RANGE, "E_RANGE", "a number is out of its documented range"},
    {TUNNELCAP_E_RESERVED, "E_RESERVED", "a reserved field is not zero"},
    {TUNNELCAP_E_BUSY, "E_BUSY", "a lane still reads what is to be reused: call again"},
    {TUNNELCAP_E_WEAK, "E_WEAK", "a weak or clear algorithm without opt-in"},
    {TUNNELCAP_E_KEY, "E_KEY", "a key or salt of a wrong length"},
    {TUNNELCAP_E_TRANSFORM, "E_TRANSFORM", "unknown algorithm, or a combination that is none"},
    {TUNNELCAP_E_NO_NONCE, "E_NO_NONCE", "nobody says why nonces cannot repeat"},
    {TUNNELCAP_E_CRYPTO, "E_CRYPTO", "the provider failed, or gave a wrong answer"},
};

enum { KNOWN = sizeof(known) / sizeof(known[0]) };

static uint32_t find(int32_t status)
{
    uint32_t i = 0;

    while (i < KNOWN && known[i].status != status)
        i++;
    return i;
}

const char *tunnelcap_status_name(int32_t status)
{
    uint32_t i = find(status);

    return i < KNOWN ? known[i].name : "UNKNOWN";
}

const char *tunnelcap_status_text(int32_t status)
{
    uint32_t i = find(status);

    return i < KNOWN ? known[i].text : "not a status of this version";
}

int32_t tunnelcap_status_class(int32_t status)
{
    if (find(status) == KNOWN)
        return TUNNELCAP_CLASS_UNKNOWN;
    return status >= 0 ? TUNNELCAP_CLASS_OK : -status / 100;
}

int32_t tunnelcap_status_at(uint32_t index, int32_t *status)
{
    if (status == NULL)
        return TUNNELCAP_E_INVALID;
    if (index >= KNOWN)
        return TUNNELCAP_E_NOT_FOUND;
    *status = known[index].status;
    return TUNNELCAP_OK;
}
