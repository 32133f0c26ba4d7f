use super::super::algorithm::{AuthTag, Cipher, KeyAgreement, SasType};
use super::*;

/// Known answers, computed with another implementation of HMAC and of the formulas of RFC 6189 §4.4.1.4, §4.4.3.2 and §4.5
/// (Python's `hmac` and `struct`).
struct Row {
    hash: Hash,
    cipher: Cipher,
    s0: &'static str,
    srtp: [&'static str; 2],
    mac: [&'static str; 2],
    zrtp: [&'static str; 2],
    session: &'static str,
    sas: &'static str,
    retained: &'static str,
    multistream: &'static str,
}

const ROWS: [Row; 2] = [
    Row {
        hash: Hash::S256,
        cipher: Cipher::Aes1,
        s0: "0ea26a74e9a25b8262705beac61a6d440142617091d0b92c31b1c39ea722fc1c",
        srtp: [
            "bf2a08299bf690f4c9d798e05693f7d4b8f4cd186cdc6c9e2aa8c28da3ad",
            "604bd77e9c6d45c4080f2afa7990f074224be111f7da76405aff4acd5463",
        ],
        mac: [
            "f46fadbe1abfb257eccaf9ee49f83ef8f2ede4903ca4b59f71f1299eaf23622e",
            "46acffe3bcbbb54b5e75b6033f242984b3d19279d84952b533479290e9bbbc0f",
        ],
        zrtp: [
            "6eafdf79425b4bcc7e78485dd26d2a49",
            "33ba1844dff8611ed9c2f2bd935899e2",
        ],
        session: "39271c5ed6f698f03ff427aca8963b0f4e0313baf9807c50c66e4111611b9713",
        sas: "8b6adf2d",
        retained: "3b443d40808a7d09fa4d1217a8b0adaa7f71f307c7e0e043ca11c14aeaf19f13",
        multistream: "88bde99212cd9b0f09e94433041ff0e7635197c58a7ffee9d1ac59c83a2d8b84",
    },
    Row {
        hash: Hash::S384,
        cipher: Cipher::Aes3,
        s0: "ac49b44a97766a0c6f046b36a530ad2781592a3f388c6ef7d7e5197cea3c8ab0bbc071b659cec2323c24d68d94d6ba8f",
        srtp: [
            "705956f116ee4d2dcfe172135901880417f60f928076c6f55f80dd60c82486d5b1630ec84891b366e997fa7b5909",
            "717a38f181cb1467ee7d9fa3d7821c275e8cb4bb3cae957e446d48b5cf6165ad8c81e3186d3df1b5b05160a27691",
        ],
        mac: [
            "b9a502eba9a7fecadab5192e811c430075415b5f9fed03650b924fcde18f6dd442cdc5110e9b3a603076a9e4a7b4ed34",
            "c0fd38d38057cf710357df3b4618a8437517b5b6b74720ee908cb80218694e0f7b90d056d9d0f9b98d1927871911d1bd",
        ],
        zrtp: [
            "161249de0e43c1f311a752dc1dff99a7362308c9664eeb0d9b74c28e646bd77e",
            "1e8fc94b688ae8920c4647503824afa6bba0547958a607584e55046f6a014458",
        ],
        session: "427e9c98bd6a3cb0c3d1090ff70ca2536768f800b5d127ed6ac4558ec6d3bf0cfef336b1496bb5438f544f516756f4ad",
        sas: "ca2c4b47",
        retained: "d38311e8ae7d487ecd5a269e88b6e4fb8c5ab21461792cf0f38c434e09aedafe",
        multistream: "13177500610fd620a80fc5f681d0f8fba0e992f643446e80d360116409c5fd439bee6c8ec6854f7a9bd232386d43a8c0",
    },
];

#[test]
fn keys_are_derived_as_the_rfc_says() {
    let messages: [&[u8]; 4] = [b"hello of the responder", b"commit", b"dhpart1", b"dhpart2"];
    let (initiator, responder) = (Zid([1; 12]), Zid([2; 12]));
    for row in ROWS {
        let context = Context::new(row.hash, initiator, responder, &messages);
        let s0 = context.s0_from_dh(row.hash, &[9; 48], [&[7; 32], b"", b"pbx"]);
        assert_eq!(hex::encode(&s0[..]), row.s0);
        let choice = Choice {
            hash: row.hash,
            cipher: row.cipher,
            auth_tag: AuthTag::Hs32,
            key_agreement: KeyAgreement::Ec38,
            sas: SasType::B32,
        };
        let keys = Keys::derive(choice, &s0, &context);
        let both = [&keys.initiator, &keys.responder];
        assert_eq!(both.map(|half| hex::encode(&half.srtp.master[..])), row.srtp);
        assert_eq!(both.map(|half| hex::encode(&half.mac_key[..])), row.mac);
        assert_eq!(both.map(|half| hex::encode(&half.zrtp_key[..])), row.zrtp);
        assert_eq!(hex::encode(&keys.session[..]), row.session);
        assert_eq!(hex::encode(keys.sas_value), row.sas);
        assert_eq!(hex::encode(&keys.retained[..]), row.retained);
        assert_eq!(both[0].srtp.suite, choice.suite());
        let further = Context::new(row.hash, initiator, responder, &messages[..2]);
        let s0 = further.s0_from_session(row.hash, &keys.session);
        assert_eq!(hex::encode(&s0[..]), row.multistream);
    }
}
