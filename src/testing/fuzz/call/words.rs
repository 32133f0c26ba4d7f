//! What parties say in these calls.

pub(super) const METHODS: [&str; 12] = [
    "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "MESSAGE", "OPTIONS", "PRACK", "REFER", "NOTIFY",
    "BOGUS",
];
pub(super) const REPLACES: &str = "Replaces: far@away;to-tag=1;from-tag=2\r\n";
/// What a caller says of reliable provisional responses.
pub(super) const RELIABLE: [&str; 4] = [
    "",
    "Supported: 100rel\r\n",
    "Supported: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n",
    "Require: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n",
];
pub(super) const REFERS: [&str; 4] = [
    "Refer-To: <sip:carol@example.org>\r\n",
    "Refer-To: <sip:carol@example.org>\r\nRefer-Sub: false\r\n",
    "Refer-To: <sip:carol@example.org?Replaces=far%40away%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
    "Refer-To: <sip:carol@example.org?Replaces=half%3Bto-tag%3D1>\r\n",
];
pub(super) const NOTIFIES: [&str; 4] = [
    "Event: refer\r\nSubscription-State: active;expires=60\r\n",
    "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
    "Event: refer;id=1\r\nSubscription-State: active\r\n",
    "Event: weather\r\nSubscription-State: active\r\n",
];
pub(super) const STATUSES: [u16; 16] = [
    100, 180, 183, 199, 200, 202, 302, 401, 408, 481, 486, 487, 488, 491, 503, 699,
];
pub(super) const PAUSES: [u64; 8] = [0, 1, 7, 100, 500, 5_000, 33_000, 250_000];
/// What stands below `c=`.
pub(super) const MEDIA: [&str; 16] = [
    "m=audio {port} RTP/AVP 0\r\n",
    "m=audio {port} RTP/AVP 0 {n} {n+1}\r\na=sendonly\r\na=rtpmap:{n} opus/48000/2\r\na=rtpmap:{n+1} red/48000/2\r\na=fmtp:{n+1} {n}/{n}\r\n",
    "m=audio {port} RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
    "m=audio {port} RTP/AVP 0\r\na=inactive\r\nm=video {port} RTP/AVPF 96\r\n",
    "m=audio 0 RTP/AVP 0\r\n",
    "",
    "m=audio {port} RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n",
    "m=audio {port} RTP/SAVPF 0\r\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{key}\r\na=rtcp-mux\r\n",
    "m=audio {port} RTP/SAVP 0\r\n",
    "m=audio {port} RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP\r\n",
    "m=audio {port} UDP/TLS/RTP/SAVPF 0\r\na=setup:actpass\r\na=fingerprint:{fingerprint}\r\n",
    "m=image {port} udptl t38\r\nm=audio {port} RTP/AVP 0\r\n",
    "m=audio {port} RTP/AVP 0\r\na=zrtp-hash:1.10 00\r\n",
    "m=audio {port} RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\nm=audio {port} RTP/AVP 0\r\n",
    "m=audio {port} RTP/AVP 0\r\na=rtcp:9 IN IP4 0.0.0.0\r\nm=video 0 RTP/AVP 96\r\nm=audio {port} RTP/AVP 8\r\n",
    "m=audio {port} RTP/AVP 0\r\nm=audio {port} RTP/AVP 0\r\nm=audio {port} RTP/AVP 0\r\nm=audio {port} RTP/AVP 0\r\n",
];

/// Of whoever is at the other end.
pub(super) const FINGERPRINT: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
