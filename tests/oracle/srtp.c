/* libsrtp2 behind a pipe, for tests/srtp_oracle.rs. One request a line, one answer a line:
 *
 *   key SUITE HEX         new sessions in both directions under this master key and salt
 *   protect HEX           an RTP packet        protect_rtcp HEX      an RTCP packet
 *   unprotect HEX         an SRTP packet       unprotect_rtcp HEX    an SRTCP packet
 *
 * answered by "ok HEX" or "error NUMBER", the number being libsrtp's. */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 4096

static srtp_t out, in;

static int from_hex(const char *text, unsigned char *octets, int room)
{
    int length = 0;
    unsigned value;
    for (; text[0] && text[1] && length < room; text += 2) {
        if (sscanf(text, "%2x", &value) != 1)
            return -1;
        octets[length++] = (unsigned char)value;
    }
    return *text ? -1 : length;
}

static int policies(const char *suite, srtp_policy_t *policy)
{
    if (!strcmp(suite, "AES_CM_128_HMAC_SHA1_80")) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(suite, "AES_CM_128_HMAC_SHA1_32")) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(suite, "AES_256_CM_HMAC_SHA1_80")) {
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(suite, "AES_256_CM_HMAC_SHA1_32")) {
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(suite, "AEAD_AES_128_GCM")) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtcp);
    } else if (!strcmp(suite, "AEAD_AES_256_GCM")) {
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtcp);
    } else {
        return 0;
    }
    return 1;
}

static int new_sessions(const char *suite, const char *key)
{
    unsigned char master[64] = { 0 };
    srtp_policy_t policy;
    int status;

    memset(&policy, 0, sizeof policy);
    if (from_hex(key, master, sizeof master) < 0 || !policies(suite, &policy))
        return srtp_err_status_bad_param;
    policy.key = master;
    policy.window_size = 128;
    if (out)
        srtp_dealloc(out);
    if (in)
        srtp_dealloc(in);
    out = in = NULL;
    policy.ssrc.type = ssrc_any_outbound;
    status = srtp_create(&out, &policy);
    if (status != srtp_err_status_ok)
        return status;
    policy.ssrc.type = ssrc_any_inbound;
    return srtp_create(&in, &policy);
}

int main(void)
{
    static char line[2 * ROOM + 64], verb[32], first[2 * ROOM + 1], second[256];
    static unsigned char packet[ROOM + SRTP_MAX_TRAILER_LEN];

    if (srtp_init() != srtp_err_status_ok)
        return 1;
    while (fgets(line, sizeof line, stdin)) {
        int length = 0, status = srtp_err_status_bad_param, i;
        int fields = sscanf(line, "%31s %8192s %255s", verb, first, second);

        if (fields == 3 && !strcmp(verb, "key")) {
            status = new_sessions(first, second);
        } else if (fields == 2 && out && in && (length = from_hex(first, packet, ROOM)) >= 0) {
            if (!strcmp(verb, "protect"))
                status = srtp_protect(out, packet, &length);
            else if (!strcmp(verb, "protect_rtcp"))
                status = srtp_protect_rtcp(out, packet, &length);
            else if (!strcmp(verb, "unprotect"))
                status = srtp_unprotect(in, packet, &length);
            else if (!strcmp(verb, "unprotect_rtcp"))
                status = srtp_unprotect_rtcp(in, packet, &length);
        }
        if (status == srtp_err_status_ok) {
            fputs("ok ", stdout);
            for (i = 0; i < length; i++)
                printf("%02x", packet[i]);
            putchar('\n');
        } else {
            printf("error %d\n", status);
        }
        fflush(stdout);
    }
    return 0;
}
